"""Whatever is interleaved, compacted, killed or taken over: a cut in Postgres is one moment of the logs."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tally.schemas.topics import CHANGELOGS
from tests.support.sink_logs import LAG_SECONDS, Partition, Sink, Table

SINKS = st.integers(0, 1)
KEYS = st.sampled_from([f"k{n}".encode() for n in range(8)])
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), st.integers(0, 9)), max_size=5)


class TwoSinks(RuleBasedStateMachine):
    """Two processes that both believe to own a partition, and everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.partition = Partition()
        self.table = Table()
        self.sinks = [Sink(self.partition, self.table, name) for name in "ab"]
        self.drawn = 0
        self.dumps = [(dict(self.table.rows), self.table.progress)]

    @rule(rows=CHANGES, cells=CHANGES)
    def commit(self, rows: dict[bytes, int | None], cells: dict[bytes, int | None]) -> None:
        self.partition.commit(self._values(rows), self._values(cells))

    @rule(rows=CHANGES)
    def recount(self, rows: dict[bytes, int | None]) -> None:
        """Other rules: rows are corrected in several transactions."""
        if self.partition.seq:
            self.partition.commit(self._values(rows), rules="unfinished")
            self.partition.rules = "r2" if self.partition.rules == "r1" else "r1"
            self.partition.commit(self._values(rows))

    @rule(rows=st.integers(1, 3))
    def abort(self, rows: int) -> None:
        self.partition.abort(rows)

    @rule(seconds=st.sampled_from([1.0, 20.0, 45.0, 60.0, 200.0, 600.0, 2_000.0]))
    def pass_time(self, seconds: float) -> None:
        self.partition.later(seconds)

    @rule(states=st.integers(0, 9), counters=st.integers(0, 9))
    def compact(self, states: int, counters: int) -> None:
        self.partition.compact(states, counters)

    @rule(
        changes=st.lists(st.tuples(CHANGES, CHANGES), min_size=2, max_size=12),
        seconds=st.sampled_from([120.0, 600.0, 1_500.0]),
        states=st.integers(0, 9),
        counters=st.integers(0, 9),
    )
    def sleep(
        self,
        changes: list[tuple[dict[bytes, int | None], dict[bytes, int | None]]],
        seconds: float,
        states: int,
        counters: int,
    ) -> None:
        """Nobody writes to Postgres for a while, and the logs are compacted, twice so that tombstones go."""
        for rows, cells in changes:
            self.commit(rows, cells)
        self.partition.later(LAG_SECONDS)
        self.partition.compact(states, counters)
        self.partition.later(seconds)
        self.partition.compact(states, counters)

    @rule(sink=SINKS, states=st.integers(1, 30), counters=st.integers(1, 30), is_reply_lost=st.booleans())
    def step(self, sink: int, states: int, counters: int, is_reply_lost: bool) -> None:
        if self.partition.seq:
            self.sinks[sink].read("states", states)
            self.sinks[sink].read("counters", counters)
            self.sinks[sink].write(is_reply_lost=is_reply_lost)

    @rule(sink=SINKS, log=st.sampled_from(CHANGELOGS), most=st.integers(1, 9))
    def read(self, sink: int, log: str, most: int) -> None:
        if self.partition.seq:
            self.sinks[sink].read(log, most)  # type: ignore[arg-type]

    @rule(sink=SINKS, is_reply_lost=st.booleans())
    def write(self, sink: int, is_reply_lost: bool) -> None:
        if self.partition.seq:
            self.sinks[sink].write(is_reply_lost=is_reply_lost)

    @rule(sink=SINKS)
    def kill(self, sink: int) -> None:
        self.sinks[sink].forget()

    @rule()
    def dump(self) -> None:
        self.dumps.append((dict(self.table.rows), self.table.progress))

    @rule(which=st.integers(0, 9))
    def restore(self, which: int) -> None:
        rows, self.table.progress = self.dumps[which % len(self.dumps)]
        self.table.rows = dict(rows)

    @rule()
    def run_to_end(self) -> None:
        """Left in peace, any sink reaches the newest rows."""
        if self.partition.seq:
            self.sinks[0].run_to_end()
            assert self.table.held == self.partition.moments[self.partition.seq]

    @invariant()
    def a_cut_is_one_moment(self) -> None:
        held = self.table.progress
        if held is not None and held.is_cut:
            assert self.table.held == self.partition.moments[held.seq]

    @invariant()
    def memory_is_bounded(self) -> None:
        for sink in self.sinks:
            assert sink.cuts is None or sink.cuts.dirty <= 60

    def _values(self, changes: dict[bytes, int | None]) -> dict[bytes, bytes | None]:
        self.drawn += 1
        return {
            key: None if value is None else f"{value}-{self.drawn}".encode() for key, value in changes.items()
        }


TestTwoSinks = TwoSinks.TestCase
TestTwoSinks.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
