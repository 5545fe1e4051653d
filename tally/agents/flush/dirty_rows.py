"""The rows of one partition that are still to be flushed, and the batches that they go in. No I/O."""

from collections.abc import Iterable
from itertools import islice
from typing import Literal, NamedTuple

from msgspec import Struct

from tally.schemas.grains import RowKey
from tally.schemas.rows import Progress
from tally.tables.pieces import Steps
from tally.tables.postgres.progress import FlushProgress

WITHHELD_SECONDS = 300.0
"""How long a row that Postgres cannot store waits before its next try."""

FlushState = Literal["flushing", "empty", "behind", "foreign_store"]


class DirtySince(NamedTuple):
    """When a row became dirty: Postgres holds everything that the row counts below `next_offset`."""

    next_offset: int
    at_seconds: float


class Withheld(NamedTuple):
    """A dirty row that Postgres cannot store; batches leave it out until `retry_at_seconds`."""

    since: DirtySince
    retry_at_seconds: float


class Batch(Struct, frozen=True):
    """The contents of one transaction: rows, and flush progress before and after it."""

    since: dict[RowKey, DirtySince]
    progress: FlushProgress
    seen: FlushProgress | None


def state_of(held: FlushProgress | None, progress: Progress | None) -> FlushState:
    """Return whether a partition can be flushed, from its progress in Postgres and in the view.

    `empty`: the fold has committed nothing yet. `behind`: another flusher has read further than this view,
    whose rows are old. `foreign_store`: Postgres holds rows of another changelog under the same generation;
    offsets of the two cannot be compared, and nothing may be written.
    """
    if progress is None:
        return "empty"
    if held is not None and held.store_id != progress.store_id:
        return "foreign_store"
    if held is not None and held.next_offset > progress.next_offset:
        return "behind"
    return "flushing"


def resend_from(held: FlushProgress | None, columns: str) -> int:
    """Return the offset from which on rows are dirty when a process begins to flush a partition."""
    return held.next_offset if held is not None and held.columns == columns else 0


class DirtyRows:
    """The dirty rows of one partition, oldest first, and the flush progress last seen in Postgres.

    It holds one entry per row however often the row changes, and so stays bounded while Postgres is away. The
    cost of each method depends only on the rows that it handles: half a million may be dirty.
    """

    def __init__(self, columns: str) -> None:
        self._columns = columns
        self._opened = False
        self._seen: FlushProgress | None = None
        self._oldest: dict[RowKey, DirtySince] = {}
        """Rows found dirty, put back or released, unordered; they are flushed before the changed ones."""
        self._since: DirtySince | None = None
        """A lower bound of `_oldest`; reset once that is empty."""
        self._changed: dict[RowKey, DirtySince] = {}
        self.withheld: dict[RowKey, Withheld] = {}
        self._withheld_offset: int | None = None
        """The smallest offset since which a withheld row is dirty; None where it has to be computed again."""

    @property
    def dirty(self) -> dict[RowKey, DirtySince]:
        """All dirty rows, in the order in which they are flushed."""
        return {**self._oldest, **self._changed}

    @property
    def dirty_rows(self) -> int:
        """How many rows are dirty, without the withheld ones."""
        return len(self._oldest) + len(self._changed)

    @property
    def dirty_since(self) -> DirtySince | None:
        """When the oldest dirty row became dirty, or an earlier time."""
        return self._since if self._oldest else next(iter(self._changed.values()), None)

    def close(self) -> None:
        """Forget everything; the next `reconcile` opens the partition again."""
        self._opened = False
        self._seen = self._since = self._withheld_offset = None
        self._oldest, self._changed, self.withheld = {}, {}, {}

    def change(self, key: RowKey, since: DirtySince) -> None:
        """Note that a row changed; a closed partition notes nothing, since `reconcile` finds those rows."""
        if self._opened and key not in self.withheld and key not in self._oldest:
            self._changed.setdefault(key, since)

    def reconcile(
        self, held: FlushProgress | None, rows: Iterable[tuple[RowKey, int] | None], now_seconds: float
    ) -> Steps[bool]:
        """Adopt the flush progress that Postgres holds; return whether it moved while this was open.

        `rows` are all rows with their offsets. They may change between two steps; each change is passed to
        `change`. Progress of another flusher is accepted: rows from there on are dirty. Every row is dirty
        where progress went back or vanished (a dump was restored) or has other columns (another release).
        """
        was_open = self._opened
        if was_open and held == self._seen:
            return False
        start = resend_from(held, self._columns)
        if was_open and not _went_on(self._seen, held):
            start = 0
        self._opened, self._seen = True, held
        since = DirtySince(start, now_seconds)
        is_whole = False
        try:
            for row in rows:
                if row is not None and row[1] >= start:
                    self._make_dirty(row[0], since)
                yield
            is_whole = True
        finally:
            if not is_whole:
                self.close()
        return was_open

    def next_batch(self, progress: Progress, limit: int) -> Batch | None:
        """Remove and return the next batch; None where there is neither a row nor progress to write.

        The caller must pass the batch to `done` or `put_back`.
        """
        taken = [*islice(self._oldest, limit)]
        taken += islice(self._changed, limit - len(taken))
        since = {key: self._pop(key) for key in taken}
        left = [one.next_offset for one in (self.dirty_since,) if one is not None]
        if self.withheld:
            left.append(self._least_withheld())
        next_offset = min([progress.next_offset, *left])
        seen = self._seen
        if not since and seen is not None and seen.next_offset == next_offset:
            return None
        flushed = FlushProgress(
            next_offset, progress.store_id, self._columns, 1 if seen is None else seen.flushes + 1
        )
        return Batch(since, flushed, seen)

    def done(self, batch: Batch) -> None:
        """Note that a batch is committed in Postgres."""
        self._seen = batch.progress

    def put_back(self, batch: Batch) -> None:
        """Make the rows of a batch dirty again, since the time when they were."""
        for key, since in batch.since.items():
            self._make_dirty(key, since)

    def withhold(self, keys: Iterable[RowKey], retry_at_seconds: float) -> None:
        """Withhold dirty rows that Postgres cannot store; flush progress does not pass them."""
        for key in keys:
            row = self.withheld[key] = Withheld(self._pop(key), retry_at_seconds)
            if self._withheld_offset is not None:
                self._withheld_offset = min(self._withheld_offset, row.since.next_offset)

    def release(self, now_seconds: float) -> None:
        """Make withheld rows dirty again once their retry is due."""
        due = [key for key, row in self.withheld.items() if row.retry_at_seconds <= now_seconds]
        for key in due:
            self._make_dirty(key, self.withheld.pop(key).since)
        if due:
            self._withheld_offset = None

    def _least_withheld(self) -> int:
        if self._withheld_offset is None:
            self._withheld_offset = min(row.since.next_offset for row in self.withheld.values())
        return self._withheld_offset

    def _make_dirty(self, key: RowKey, since: DirtySince) -> None:
        """Put a row before the changed ones; a row that is dirty already keeps the older time."""
        if key in self.withheld:
            return
        known = self._oldest.get(key) or self._changed.pop(key, since)
        self._oldest[key] = since = min(since, known)
        self._since = since if self._since is None else min(self._since, since)

    def _pop(self, key: RowKey) -> DirtySince:
        since = self._oldest.pop(key, None) or self._changed.pop(key)
        if not self._oldest:
            self._since = None
        return since


def _went_on(seen: FlushProgress | None, held: FlushProgress | None) -> bool:
    """Return whether another flusher seems to have continued from the progress that was seen."""
    return (
        seen is not None
        and held is not None
        and held.flushes > seen.flushes
        and held.next_offset >= seen.next_offset
    )
