"""What is still to be flushed of one partition, and what goes into the next transaction. Pure."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Literal, NamedTuple

from msgspec import Struct

from tally.schemas.keys import RowKey
from tally.schemas.rows import Progress, Row
from tally.tables.postgres.progress import FlushProgress

WITHHELD_SECONDS = 300.0
"""How long a row that Postgres cannot store waits before it is tried again."""

Standing = Literal["flushing", "empty", "behind", "foreign_store"]


class Since(NamedTuple):
    """When a row became dirty: everything below `next_offset` that is in the row is in Postgres too."""

    next_offset: int
    at_seconds: float


class Withheld(NamedTuple):
    """A row that Postgres cannot store: dirty, but out of the way of the others until `retry_at_seconds`."""

    since: Since
    retry_at_seconds: float


class Batch(Struct, frozen=True):
    """What one transaction writes: rows, and flush progress as it is afterwards."""

    rows: list[tuple[RowKey, Row]]
    since: dict[RowKey, Since]
    progress: FlushProgress
    seen: FlushProgress | None


def standing(held: FlushProgress | None, progress: Progress | None) -> Standing:
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


class Unflushed:
    """The dirty rows of one partition, oldest first, and the flush progress last seen in Postgres.

    Holds one entry a row however often the row changes, so that it stays bounded while Postgres is away.
    """

    def __init__(self, columns: str) -> None:
        self._columns = columns
        self._opened = False
        self._seen: FlushProgress | None = None
        self.dirty: dict[RowKey, Since] = {}
        self.withheld: dict[RowKey, Withheld] = {}

    def close(self) -> None:
        """Forget everything; the next reconciliation opens the partition again."""
        self._opened = False
        self._seen = None
        self.dirty = {}
        self.withheld = {}

    def change(self, key: RowKey, since: Since) -> None:
        """Note that a row changed; a closed partition finds its dirty rows when it opens."""
        if self._opened and key not in self.withheld:
            self.dirty.setdefault(key, since)

    def reconcile(self, held: FlushProgress | None, rows: Mapping[RowKey, Row], now_seconds: float) -> bool:
        """Take over what Postgres holds; return whether it is not what this flusher left there.

        Another flusher's progress is as good as our own: rows from there on are dirty. Where progress went
        back or vanished (a dump was restored), or was written by another version, every row is.
        """
        was_open = self._opened
        if was_open and held == self._seen:
            return False
        start = resend_from(held, self._columns)
        if was_open and not _went_on(self._seen, held):
            start = 0
        self._opened, self._seen = True, held
        since = Since(start, now_seconds)
        self._add({key: since for key, row in rows.items() if row.next_offset >= start})
        return was_open

    def take(self, rows: Mapping[RowKey, Row], progress: Progress, limit: int) -> Batch | None:
        """Take the next batch, or None where neither rows nor flush progress have to move.

        Afterwards the batch is in nobody's hands: hand it to `done` or to `put_back`.
        """
        since = {key: self.dirty.pop(key) for key in list(islice(self.dirty, limit))}
        left = [*islice(self.dirty.values(), 1), *(row.since for row in self.withheld.values())]
        next_offset = min([progress.next_offset, *(row.next_offset for row in left)])
        seen = self._seen
        if not since and seen is not None and seen.next_offset == next_offset:
            return None
        flushed = FlushProgress(
            next_offset, progress.store_id, self._columns, 1 if seen is None else seen.flushes + 1
        )
        return Batch([(key, rows[key]) for key in since], since, flushed, seen)

    def done(self, batch: Batch) -> None:
        """Note that a batch is in Postgres."""
        self._seen = batch.progress

    def put_back(self, batch: Batch) -> None:
        """Make the rows of a batch dirty again, since when they were."""
        self._add(batch.since)

    def withhold(self, keys: Iterable[RowKey], retry_at_seconds: float) -> None:
        """Set dirty rows aside that Postgres cannot store; flush progress does not pass them."""
        for key in keys:
            self.withheld[key] = Withheld(self.dirty.pop(key), retry_at_seconds)

    def release(self, now_seconds: float) -> None:
        """Make withheld rows dirty again whose time has come."""
        due = {key: row.since for key, row in self.withheld.items() if row.retry_at_seconds <= now_seconds}
        self.withheld = {key: row for key, row in self.withheld.items() if key not in due}
        self._add(due)

    def _add(self, rows: Mapping[RowKey, Since]) -> None:
        """Add dirty rows, keeping the oldest first and the older of two times of one row."""
        if not rows:
            return
        both = {key: since for key, since in rows.items() if key not in self.withheld}
        for key, since in self.dirty.items():
            both[key] = min(since, both.get(key, since))
        self.dirty = dict(sorted(both.items(), key=lambda row: row[1]))


def _went_on(seen: FlushProgress | None, held: FlushProgress | None) -> bool:
    """Return whether another flusher went on from what was seen, as far as can be told."""
    return (
        seen is not None
        and held is not None
        and held.flushes > seen.flushes
        and held.next_offset >= seen.next_offset
    )
