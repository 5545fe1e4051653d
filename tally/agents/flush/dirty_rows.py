"""What is still to be flushed of one partition, and what goes into the next transaction. No I/O."""

from collections.abc import Iterable
from itertools import islice
from typing import Literal, NamedTuple

from msgspec import Struct

from tally.schemas.grains import RowKey
from tally.schemas.rows import Progress
from tally.tables.pieces import Steps
from tally.tables.postgres.progress import FlushProgress

WITHHELD_SECONDS = 300.0
"""How long a row that Postgres cannot store waits before it is tried again."""

FlushState = Literal["flushing", "empty", "behind", "foreign_store"]


class DirtySince(NamedTuple):
    """When a row became dirty: everything below `next_offset` that is in the row is in Postgres too."""

    next_offset: int
    at_seconds: float


class Withheld(NamedTuple):
    """A row that Postgres cannot store: dirty, but out of the way of the others until `retry_at_seconds`."""

    since: DirtySince
    retry_at_seconds: float


class Batch(Struct, frozen=True):
    """What one transaction writes: these rows, and flush progress as it is afterwards."""

    since: dict[RowKey, DirtySince]
    progress: FlushProgress
    seen: FlushProgress | None


def state_of(held: FlushProgress | None, progress: Progress | None) -> FlushState:
    """Return whether a partition can be flushed, from what Postgres and the feed say of it.

    `empty`: the fold has committed nothing yet. `behind`: another flusher has seen more than this feed, whose
    rows are old. `foreign_store`: Postgres holds rows of another changelog under the same generation;
    offsets of the two do not compare, so that nothing may be written.
    """
    if progress is None:
        return "empty"
    if held is not None and held.store_id != progress.store_id:
        return "foreign_store"
    if held is not None and held.next_offset > progress.next_offset:
        return "behind"
    return "flushing"


def resend_from(held: FlushProgress | None, columns: str) -> int:
    """Return the progress from which on rows are dirty for somebody who begins to flush a partition."""
    return held.next_offset if held is not None and held.columns == columns else 0


class DirtyRows:
    """The dirty rows of one partition, oldest first, and the flush progress last seen in Postgres.

    Holds one entry a row however often the row changes, so that it stays bounded while Postgres is away. No
    step costs more than the rows that it is about: half a million may be dirty.
    """

    def __init__(self, columns: str) -> None:
        self._columns = columns
        self._opened = False
        self._seen: FlushProgress | None = None
        self._oldest: dict[RowKey, DirtySince] = {}
        """Rows found dirty, put back or released: they go before those that have changed, in no order."""
        self._since: DirtySince | None = None
        """Not later than any of the oldest; moves on when all of them are gone."""
        self._changed: dict[RowKey, DirtySince] = {}
        self.withheld: dict[RowKey, Withheld] = {}
        self._withheld_offset: int | None = None
        """The smallest offset since which a withheld row is dirty; found anew once one is released."""

    @property
    def dirty(self) -> dict[RowKey, DirtySince]:
        """All dirty rows, in the order in which they go."""
        return {**self._oldest, **self._changed}

    @property
    def dirty_rows(self) -> int:
        """How many rows are dirty, those apart that are withheld."""
        return len(self._oldest) + len(self._changed)

    @property
    def dirty_since(self) -> DirtySince | None:
        """Since when the oldest row is dirty, or a little before."""
        return self._since if self._oldest else next(iter(self._changed.values()), None)

    def close(self) -> None:
        """Forget everything; the next reconciliation opens the partition again."""
        self._opened = False
        self._seen = self._since = self._withheld_offset = None
        self._oldest, self._changed, self.withheld = {}, {}, {}

    def change(self, key: RowKey, since: DirtySince) -> None:
        """Note that a row changed; a closed partition finds its dirty rows when it opens."""
        if self._opened and key not in self.withheld and key not in self._oldest:
            self._changed.setdefault(key, since)

    def reconcile(
        self, held: FlushProgress | None, rows: Iterable[tuple[RowKey, int] | None], now_seconds: float
    ) -> Steps[bool]:
        """Take over what Postgres holds; return whether it is not what this flusher left there.

        `rows` are all rows with their offsets, which may change between two steps: whoever changes one says
        so by `change`. Another flusher's progress is as good as our own: rows from there on are dirty. Where
        progress went back or vanished (a dump was restored), or was written by another version, every row is.
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
        """Take the next batch, or None where neither rows nor flush progress have to move.

        Afterwards the batch is in nobody's hands: hand it to `done` or to `put_back`.
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
        """Note that a batch is in Postgres."""
        self._seen = batch.progress

    def put_back(self, batch: Batch) -> None:
        """Make the rows of a batch dirty again, since when they were."""
        for key, since in batch.since.items():
            self._make_dirty(key, since)

    def withhold(self, keys: Iterable[RowKey], retry_at_seconds: float) -> None:
        """Set dirty rows aside that Postgres cannot store; flush progress does not pass them."""
        for key in keys:
            row = self.withheld[key] = Withheld(self._pop(key), retry_at_seconds)
            if self._withheld_offset is not None:
                self._withheld_offset = min(self._withheld_offset, row.since.next_offset)

    def release(self, now_seconds: float) -> None:
        """Make withheld rows dirty again whose time has come."""
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
        """Put a row before those that have changed, with the older of two times."""
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
    """Return whether another flusher went on from what was seen, as far as can be told."""
    return (
        seen is not None
        and held is not None
        and held.flushes > seen.flushes
        and held.next_offset >= seen.next_offset
    )
