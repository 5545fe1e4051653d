"""Doubles for the flush: a feed with manual commits, a Postgres in memory that loses replies, an observer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set

from tally.agents.flush.loop import Flush
from tally.agents.flush.ports import FlushConfig, FlushPorts, RowSource, RowWriter
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Progress, Row
from tally.tables.postgres.columns import Rows
from tally.tables.postgres.failures import Away, Unacceptable
from tally.tables.postgres.progress import FlushProgress, ProgressMoved

PROMO = Template("promo_nov", "pt_BR")
DEFAULT = FlushConfig()


def key(campaign: str = "c1", template: Template | None = PROMO, tenant: str = "t1") -> RowKey:
    return RowKey(tenant, campaign, template)


def row(next_offset: int, **counts: int) -> Row:
    return Row(next_offset, 1_795_350_870_000, 1_795_350_871_000, ["77"], counts)


class CommittedRows:
    """A feed of committed rows, like the view."""

    def __init__(self, store_id: str = "s1") -> None:
        self.listeners: list[Callable[[int, RowKey], None]] = []
        self.store_id = store_id
        self._rows: dict[int, dict[RowKey, Row]] = {}
        self._progress: dict[int, Progress] = {}

    def rows(self, partition: int) -> Mapping[RowKey, Row]:
        return self._rows.setdefault(partition, {})

    def offsets(self, partition: int) -> Iterator[tuple[RowKey, int] | None]:
        yield None
        for changed, value in list(self.rows(partition).items()):
            yield changed, value.next_offset

    def progress(self, partition: int) -> Progress | None:
        return self._progress.get(partition)

    def commit(self, partition: int, next_offset: int, rows: Mapping[RowKey, Row]) -> None:
        """Apply one transaction of a fold: its rows, then its progress."""
        for changed, value in rows.items():
            self._rows.setdefault(partition, {})[changed] = value
            for listener in self.listeners:
                listener(partition, changed)
        self._progress[partition] = Progress(next_offset, self.store_id, "rules")

    def count(self, partition: int, next_offset: int, *campaigns: str) -> None:
        """Commit one row for each campaign, with the offset as its `accepted`."""
        self.commit(
            partition,
            next_offset,
            {key(campaign): row(next_offset, accepted=next_offset) for campaign in campaigns},
        )


class MemoryPostgres:
    """The writer's contract in memory, failing on request."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, RowKey], Row] = {}
        self.progress: dict[int, FlushProgress] = {}
        self.away = False
        self.reply_lost = False
        """The next write is committed, but its reply is lost."""
        self.unstorable: set[tuple[int, RowKey]] = set()
        self.locked: set[int] = set()
        """Partitions with a row locked by another session."""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """Called once between building a batch and its transaction, as if the writer was paused there."""
        self.largest_batch = 0
        self.found = 0
        """Number of rows found to be unstorable."""

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, FlushProgress]:
        self._answer()
        return {partition: held for partition, held in self.progress.items() if partition in partitions}

    async def write(
        self, partition: int, rows: Rows, progress: FlushProgress, seen: FlushProgress | None
    ) -> int:
        self._answer()
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        if partition in self.locked:
            raise Away("55", "55P03", "canceling statement due to lock timeout")
        if self.progress.get(partition) != seen:
            raise ProgressMoved
        if self.unstorable & {(partition, changed) for changed, _ in rows}:
            raise Unacceptable("22", "22021", "no such character")
        self.largest_batch = max(self.largest_batch, len(rows))
        self.progress[partition] = progress
        for changed, value in rows:
            held = self.rows.get((partition, changed))
            if held is None or held.next_offset <= value.next_offset:
                self.rows[partition, changed] = value
        if self.reply_lost:
            self.reply_lost = False
            raise Away("connection", "", "ConnectionResetError")
        return len(rows)

    async def unacceptable(self, partition: int, rows: Rows, most: int) -> dict[RowKey, str]:
        self._answer()
        found = [changed for changed, _ in rows if (partition, changed) in self.unstorable][:most]
        self.found += len(found)
        return dict.fromkeys(found, "22021")

    def of(self, partition: int) -> dict[RowKey, Row]:
        return {changed: value for (where, changed), value in self.rows.items() if where == partition}

    def _answer(self) -> None:
        if self.away:
            raise Away("57", "57P01", "terminating connection due to administrator command")


class FlushHeard:
    """Flush observer that records the reports."""

    def __init__(self) -> None:
        self.flushes: list[tuple[int, float]] = []
        self.failures: list[str] = []
        self.state_of: tuple[int, int, float] = (0, 0, 0.0)

    def flushed(self, rows: int, seconds: float) -> None:
        self.flushes.append((rows, seconds))

    def failed(self, group: str) -> None:
        self.failures.append(group)

    def unflushed(self, dirty_rows: int, withheld_rows: int, lag_seconds: float) -> None:
        self.state_of = (dirty_rows, withheld_rows, lag_seconds)


class Hands:
    """A flush whose clock moves only in `tick`."""

    def __init__(
        self,
        source: RowSource,
        writer: RowWriter,
        partitions: Set[int] = frozenset({0}),
        config: FlushConfig = DEFAULT,
    ) -> None:
        self.now_seconds = 1000.0
        self.pauses: list[float] = []
        self.heard = FlushHeard()
        ports = FlushPorts(
            source, writer, lambda: partitions, self.heard, lambda: self.now_seconds, lambda: 1.0, self._pause
        )
        self.flush = Flush(ports, config)

    async def tick(self, later_seconds: float = 1.0) -> None:
        self.now_seconds += later_seconds
        await self.flush.tick()

    async def _pause(self, event: asyncio.Event, seconds: float) -> None:
        await asyncio.sleep(0)
        self.pauses.append(0.0 if event.is_set() else seconds)
        if not event.is_set():
            self.now_seconds += seconds
