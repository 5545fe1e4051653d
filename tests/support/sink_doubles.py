"""Doubles for the sink: logs in memory, a Postgres in memory that loses replies, an observer, and hands."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set

from msgspec import structs

from tally.agents.sink.loop import Sink, Task
from tally.agents.sink.opening import Found, Ours
from tally.agents.sink.ports import Arrived, SinkConfig, SinkPorts, SinkState, SinkWriter
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row, encode
from tally.schemas.topics import CHANGELOGS, Changelog
from tally.tables.postgres.columns import FINGERPRINT
from tally.tables.postgres.failures import Away, Unacceptable
from tally.tables.postgres.kind import Kind
from tally.tables.postgres.progress import ProgressMoved, SinkProgress
from tally.tables.postgres.sieve import KINDS, Sieve
from tally.tables.postgres.writer import PRUNED_AT_ONCE, Key, Order, Writer, Written
from tests.support.sink_logs import Partition

PROMO = Template("promo_nov", "pt_BR")
DEFAULT = SinkConfig(ours=Ours(FINGERPRINT))


def key(campaign: str = "c1", template: Template | None = PROMO, tenant: str = "t1") -> RowKey:
    return RowKey(tenant, campaign, template)


def row(next_offset: int, **counts: int) -> Row:
    return Row(next_offset, 1_795_350_870_000, 1_795_350_871_000, ["77"], counts)


def progress(seq: int, writes: int = 1, **more: object) -> SinkProgress:
    """Return progress after a cut."""
    known = SinkProgress(
        store_id="s1",
        states_topic="aa",
        counters_topic="bb",
        seq=seq,
        rules="r1",
        columns=FINGERPRINT,
        states_offset=seq,
        counters_offset=seq,
        cut_at_ms=1_795_350_872_000,
        facts_offset=seq,
        is_cut=True,
        epoch=1,
        is_pruned=True,
        writer="w",
        writes=writes,
    )
    return structs.replace(known, **more)


def order(
    partition: int,
    rows: Iterable[tuple[RowKey, Row | None]],
    after: SinkProgress,
    seen: SinkProgress | None,
    **more: object,
) -> Order:
    entries: dict[Key, bytes | None] = {
        ("rows", one.encode()): None if value is None else encode(value) for one, value in rows
    }
    return structs.replace(Order(partition, entries, after, seen), **more)


async def write(
    writer: Writer,
    partition: int,
    rows: Iterable[tuple[RowKey, Row | None]],
    after: SinkProgress,
    seen: SinkProgress | None,
) -> int:
    """Write rows, and return how many are other than before."""
    return (await writer.write(order(partition, rows, after, seen))).changed.get("rows", 0)


class MemoryPostgres:
    """The writer's contract in memory, failing on request."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, Key], tuple[bytes, int]] = {}
        self.withheld: dict[tuple[int, Key], bytes] = {}
        self.epochs: dict[tuple[int, Key], int] = {}
        """Which epoch has withheld it."""
        self.progress: dict[int, SinkProgress] = {}
        self.empty: set[int] = set()
        """Partitions of which readers know that nothing was ever counted."""
        self.away = False
        self.lose_every = 0
        """Every so many writes are committed, and their reply is lost."""
        self.unstorable: set[Key] = set()
        self.locked: set[int] = set()
        """Partitions with a row locked by another session."""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """Called once between building an order and its transaction, as if the writer was paused there."""
        self.writes = 0
        self.reads = 0
        self.largest = 0
        self.writers: set[str] = set()

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, SinkProgress]:
        self._answer()
        self.reads += 1
        return {partition: held for partition, held in self.progress.items() if partition in partitions}

    async def note_empty(self, partition: int) -> None:
        self._answer()
        self.empty.add(partition)

    async def read_withheld(self, partition: int, epoch: int, most: int) -> list[Key]:
        self._answer()
        of_epoch = [one for one in self.withheld if one[0] == partition and self.epochs[one] == epoch]
        return [name for _, name in of_epoch][:most]

    async def withheld_values(self, partition: int, keys: Iterable[Key]) -> dict[Key, bytes]:
        self._answer()
        return {name: self.withheld[partition, name] for name in keys if (partition, name) in self.withheld}

    async def write(self, order: Order, search: bool = False) -> Written:
        self._answer()
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        where = order.partition
        if where in self.locked:
            raise Away("55", "55P03", "canceling statement due to lock timeout")
        if self.progress.get(where) != order.seen:
            raise ProgressMoved
        bad = self.unstorable & (order.entries.keys() - order.untried)
        if bad and not search:
            raise Unacceptable("22", "22021", "no such character")
        if len((order.withheld - (order.entries.keys() - order.untried)) | bad) > order.most_withheld:
            raise Unacceptable("22", "22021", f"Postgres refuses more than {order.most_withheld} entries")
        self._keep(order, bad)
        written = Written({"rows": len(order.entries)}, {"rows": 0.0}, dict.fromkeys(bad, "22021"))
        if order.is_pruning:
            written.pruned = self._prune(where, order.progress.epoch)
        self.writes += 1
        if self.lose_every and self.writes % self.lose_every == 0:
            raise Away("connection", "", "ConnectionResetError")
        return written

    def _keep(self, order: Order, bad: Set[Key]) -> None:
        where = order.partition
        self.largest = max(self.largest, len(order.entries))
        self.progress[where] = order.progress
        self.writers.add(order.progress.writer)
        for name, value in order.entries.items():
            if value is not None and (name in bad or name in order.untried):
                self.withheld[where, name] = value
                self.epochs[where, name] = order.progress.epoch
                continue
            if name in order.withheld:
                self.withheld.pop((where, name), None)
            self.rows.pop((where, name), None)
            if value is not None:
                self.rows[where, name] = (value, order.progress.epoch)

    def _prune(self, partition: int, epoch: int) -> int:
        other = [key for key, (_, of) in self.rows.items() if key[0] == partition and of != epoch]
        for one in other[:PRUNED_AT_ONCE]:
            del self.rows[one]
        for one in [one for one in self.withheld if one[0] == partition and self.epochs[one] != epoch]:
            del self.withheld[one]
        return len(other)

    def of(self, partition: int) -> dict[Key, bytes]:
        return {name: value for (where, name), (value, _) in self.rows.items() if where == partition}

    def _answer(self) -> None:
        if self.away:
            raise Away("57", "57P01", "terminating connection due to administrator command")


class MemoryLogs:
    """A reader of one partition's logs in memory."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._places: dict[Changelog, int] = {}
        self.is_open = False

    async def open(self) -> Found:
        self.is_open = True
        return self._partition.found()

    def seek(self, places: Mapping[Changelog, int]) -> None:
        self._places = dict(places)

    async def read(self, logs: Sequence[Changelog], timeout_seconds: float) -> list[Arrived]:  # noqa: ARG002
        await asyncio.sleep(0)
        return [self._read(log, log in logs) for log in CHANGELOGS]

    async def close(self) -> None:
        self.is_open = False

    def _read(self, log: Changelog, is_wanted: bool) -> Arrived:
        source = self._partition.logs[log]
        records = source.read(self._places[log], 500) if is_wanted else []
        if records:
            self._places[log] = records[-1].offset + 1
        is_at_end = not source.read(self._places[log], 1)
        return Arrived(log, records, source.end if is_at_end else self._places[log], is_at_end)


class SinkHeard:
    """Sink observer that records the reports."""

    def __init__(self) -> None:
        self.transactions: list[int] = []
        self.failures: list[str] = []
        self.state = SinkState()

    def written(self, changed: Mapping[str, int], seconds: float, by_kind: Mapping[str, float]) -> None:  # noqa: ARG002
        self.transactions.append(sum(changed.values()))

    def sink_failed(self, group: str) -> None:
        self.failures.append(group)

    def sinking(self, state: SinkState) -> None:
        self.state = state


class Hands:
    """A sink whose clock moves only in `step`; each partition is stepped by hand."""

    def __init__(
        self,
        partitions: Mapping[int, Partition],
        writer: SinkWriter,
        config: SinkConfig = DEFAULT,
        name: str = "a",
        kinds: Sequence[Kind] = KINDS,
    ) -> None:
        self.partitions = partitions
        self.ours: Set[int] = set(partitions)
        self.heard = SinkHeard()
        self.drawn = 0
        self.name = name
        self.ports = SinkPorts(
            logs=lambda partition: MemoryLogs(partitions[partition]),
            writer=writer,
            partitions=lambda: self.ours,
            observer=self.heard,
            clock=lambda: self.now_s,
            unix_ms=lambda: self.any.now_ms,
            jitter=lambda: 1.0,
            token=self._token,
            sieve=Sieve(kinds),
        )
        self.sink = Sink(self.ports, config)

    @property
    def any(self) -> Partition:
        return next(iter(self.partitions.values()))

    @property
    def now_s(self) -> float:
        return self.any.now_s

    def _token(self) -> str:
        self.drawn += 1
        return f"{self.name}{self.drawn}"


class Life:
    """One partition's task, whose steps are made by hand; it opens again after each failure."""

    def __init__(self, hands: Hands, partition: int = 0, config: SinkConfig = DEFAULT) -> None:
        self.hands = hands
        self.task = Task(partition, hands.ports, config, asyncio.Semaphore(4))

    async def run(
        self, until: Callable[[], bool], seconds: float = 0.0, most: int = 2_000, rest_seconds: float = 0.0
    ) -> None:
        """Run the task until something is so, `seconds` of its clock passing with each turn.

        `rest_seconds` are real: how long a turn waits for a real Postgres.
        """
        running = asyncio.ensure_future(self.task.run())
        try:
            for _ in range(most):
                if until():
                    return
                if running.done():
                    running.result()
                self.hands.any.later(seconds)
                await asyncio.sleep(rest_seconds)
            raise AssertionError("it never is so")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def counted(partition: Partition, *campaigns: str) -> None:
    """Commit one row for each campaign, with the transaction's number as its `accepted`."""
    seq = partition.seq + 1
    partition.commit({key(name).encode(): encode(row(seq, accepted=seq)) for name in campaigns})
