"""Two flushers and their Postgres end exact after any sequence of failures; no crash loses a row."""

import asyncio
from collections.abc import Awaitable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tally.agents.flush.ports import FlushConfig
from tally.schemas.grains import RowKey
from tally.schemas.rows import Row
from tests.support.flush_doubles import CommittedRows, Hands, MemoryPostgres, key, row

Transaction = tuple[int, dict[RowKey, Row]]

FLUSHERS = st.integers(0, 1)
KEYS = st.sets(st.sampled_from([key(name) for name in "abcde"]))
ENOUGH_TICKS = 12


class Flusher:
    """A process: its feed, which may lag behind the log, and its flush."""

    def __init__(self, log: list[Transaction], postgres: MemoryPostgres) -> None:
        self.log = log
        self.feed = CommittedRows()
        self.hands = Hands(self.feed, postgres, config=FlushConfig(max_rows=2))
        self.read = 0
        self.catch_up()

    def catch_up(self) -> None:
        for transaction in self.log[self.read :]:
            self.feed.commit(0, *transaction)
        self.read = len(self.log)

    async def tick(self) -> None:
        await self.hands.tick(later_seconds=10.0)


class TwoFlushers(RuleBasedStateMachine):
    """Two processes that both believe to own a partition, and everything that may go wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.log: list[Transaction] = []
        self.postgres = MemoryPostgres()
        self.counted = 0
        self.dump: tuple[dict[tuple[int, RowKey], Row], dict[int, object]] = ({}, {})

    @initialize()
    def start(self) -> None:
        self.flushers = [self.run_up(), self.run_up()]

    def run_up(self) -> Flusher:
        async def start() -> Flusher:
            return Flusher(self.log, self.postgres)

        return self.runner.run(start())

    @rule(changed=KEYS, facts=st.integers(1, 3))
    def the_fold_counts(self, changed: set[RowKey], facts: int) -> None:
        self.commit((self.log[-1][0] if self.log else 0) + facts, changed)

    @precondition(lambda self: self.log)
    @rule(changed=KEYS)
    def the_fold_recounts(self, changed: set[RowKey]) -> None:
        self.commit(self.log[-1][0], changed)

    def commit(self, next_offset: int, changed: set[RowKey]) -> None:
        self.counted += 1
        self.log.append((next_offset, {name: row(next_offset, accepted=self.counted) for name in changed}))

    @rule(who=FLUSHERS)
    def a_feed_catches_up(self, who: int) -> None:
        self.flushers[who].catch_up()

    @rule(who=FLUSHERS)
    def a_flusher_ticks(self, who: int) -> None:
        self.flush(self.flushers[who].tick())

    @rule(who=FLUSHERS)
    def a_reply_is_lost(self, who: int) -> None:
        self.postgres.reply_lost = True
        self.flush(self.flushers[who].tick())
        self.postgres.reply_lost = False

    @rule(who=FLUSHERS)
    def a_flusher_is_paused_while_the_other_goes_on(self, who: int) -> None:
        other = self.flushers[1 - who]

        async def meanwhile() -> None:
            other.catch_up()
            await other.tick()

        self.postgres.meanwhile = meanwhile
        self.flush(self.flushers[who].tick())
        self.postgres.meanwhile = None

    @rule(who=FLUSHERS)
    def postgres_is_away(self, who: int) -> None:
        self.postgres.away = True
        self.flush(self.flushers[who].tick())
        self.postgres.away = False

    @rule(who=FLUSHERS, unstorable=st.sampled_from([key(name) for name in "abcde"]))
    def a_row_cannot_be_stored(self, who: int, unstorable: RowKey) -> None:
        self.postgres.unstorable = {(0, unstorable)}
        self.flush(self.flushers[who].tick())
        self.postgres.unstorable = set()

    @rule(who=st.sampled_from([(0,), (1,), (0, 1)]))
    def flushers_are_killed_and_started_again(self, who: tuple[int, ...]) -> None:
        for one in who:
            self.flushers[one] = self.run_up()

    @rule()
    def a_dump_is_taken(self) -> None:
        self.dump = (dict(self.postgres.rows), dict(self.postgres.progress))

    @rule()
    def the_dump_is_restored(self) -> None:
        self.postgres.rows = dict(self.dump[0])
        self.postgres.progress = dict(self.dump[1])  # type: ignore[arg-type]

    @invariant()
    def whoever_starts_now_sends_every_row_that_postgres_lacks(self) -> None:
        held = self.postgres.progress.get(0)
        if held is not None:
            missing = {name: value for name, value in self.truth().items() if not self.has(name, value)}
            assert all(value.next_offset >= held.next_offset for value in missing.values())

    def truth(self) -> dict[RowKey, Row]:
        return {name: value for _, rows in self.log for name, value in rows.items()}

    def has(self, name: RowKey, value: Row) -> bool:
        return self.postgres.rows.get((0, name)) == value

    def flush(self, tick: Awaitable[None]) -> None:
        async def ticked() -> None:
            await tick

        self.runner.run(ticked())

    def teardown(self) -> None:
        for _ in range(ENOUGH_TICKS):
            for flusher in getattr(self, "flushers", []):
                flusher.catch_up()
                flusher.hands.now_seconds += 300.0
                self.flush(flusher.tick())
        self.runner.close()
        if self.log:
            assert self.postgres.of(0) == self.truth()
            assert self.postgres.progress[0].next_offset == self.log[-1][0]


TwoFlushers.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
test_two_flushers_and_their_postgres_end_exact = TwoFlushers.TestCase
