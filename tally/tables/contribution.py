"""Contributions: the counters that one state adds to cells, and by them to its campaign's rows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from tally.schemas.cells import NO_QUARTER, QUARTER_MINUTES, ActivityCell, Cell
from tally.schemas.grains import RowKey

Counts = dict[str, int]
Moment = tuple[str, int, str, int]
"""What happened: a counter, minutes since 1970 (UTC), the queue of calls (else empty), and how often.

Part of a contribution has one at most of each counter, minute and queue.
"""


OfMinute = tuple[str, int]
"""A counter of an activity cell, and the minute of its quarter hour."""


class Part(Struct, frozen=True, gc=False):
    """What one state adds to one cell, and the span of its event times."""

    cell: Cell
    counts: Counts
    first_ms: int
    last_ms: int
    label: str = ""
    """The producer's template id; empty if unknown."""
    channel: str = ""
    """The channel of an attempt (`voice`, `whatsapp`); empty if unknown."""
    happened: tuple[Moment, ...] = ()
    """What it adds to the activity of its campaign at its number."""
    of: str = ""
    """Which of the state's parts in its row it is (docs/ledger.md); empty where there is one."""

    @property
    def row(self) -> RowKey:
        """The row that the cell is a part of."""
        return self.cell.row


def is_contested(parts: Sequence[Part]) -> bool:
    """Return whether one state's parts belong to several tenants: more than one claims its message."""
    return len({part.row.tenant for part in parts}) > 1


class Change(Struct, gc=False):
    """What a batch changes in a cell or a row: deltas of counts, the span of times, labels and channels."""

    counts: defaultdict[str, int]
    first_ms: int
    last_ms: int
    labels: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)


class Changes:
    """The changes of all cells that a batch touches, which its rows are the sums of."""

    def __init__(self) -> None:
        self.cells: dict[Cell, Change] = {}
        self.activity: dict[ActivityCell, defaultdict[OfMinute, int]] = {}

    def move(self, old: Sequence[Part], new: Sequence[Part]) -> None:
        """Apply `contribution(new) - contribution(old)`."""
        if len(old) == len(new) == 1 and old[0].cell == new[0].cell:
            self._change(old[0], new[0])
            return
        for part in old:
            counts = self._widened(part).counts
            for name, value in part.counts.items():
                counts[name] -= value
            if part.happened:
                self._happened(part.cell, part.happened, -1)
        for part in new:
            counts = self._widened(part).counts
            for name, value in part.counts.items():
                counts[name] += value
            if part.happened:
                self._happened(part.cell, part.happened, 1)

    def rows(self) -> dict[RowKey, Change]:
        """Return the changes of rows: the sums of those of their cells."""
        rows: dict[RowKey, Change] = {}
        for cell, change in self.cells.items():
            row = rows.get(cell.row)
            if row is None:
                row = rows[cell.row] = Change(defaultdict(int), change.first_ms, change.last_ms)
            counts = row.counts
            for name, delta in change.counts.items():
                counts[name] += delta
            row.first_ms, row.last_ms = min(row.first_ms, change.first_ms), max(row.last_ms, change.last_ms)
            row.labels |= change.labels
            row.channels |= change.channels
        return rows

    def _change(self, old: Part, new: Part) -> None:
        """Apply only the differences within one cell: the common case, in which most counts stay."""
        counts, was, now = self._widened(new).counts, old.counts, new.counts
        for name, value in now.items():
            if (before := was.get(name, 0)) != value:
                counts[name] += value - before
        for name, before in was.items():
            if name not in now:
                counts[name] -= before
        if old.happened != new.happened:
            self._happened(new.cell, [it for it in old.happened if it not in new.happened], -1)
            self._happened(new.cell, [it for it in new.happened if it not in old.happened], 1)

    def _happened(self, cell: Cell, moments: Iterable[Moment], sign: int) -> None:
        row, at = cell.row, (NO_QUARTER, "")
        for name, minute, queue, times in moments:
            quarter, of_quarter = divmod(minute, QUARTER_MINUTES)
            if (quarter, queue) != at:  # most of what happens to a message happens at once
                at = quarter, queue
                counts = self._activity_of(
                    ActivityCell(row.tenant, row.campaign, cell.number, queue, quarter)
                )
            counts[name, of_quarter] += sign * times

    def _activity_of(self, cell: ActivityCell) -> defaultdict[OfMinute, int]:
        counts = self.activity.get(cell)
        if counts is None:
            counts = self.activity[cell] = defaultdict(int)
        return counts

    def _widened(self, part: Part) -> Change:
        """Return the change of a part's cell, widened by the part's times, label and channel."""
        change = self.cells.get(part.cell)
        if change is None:
            change = self.cells[part.cell] = Change(defaultdict(int), part.first_ms, part.last_ms)
        # A comparison costs a fifth of a call of min or max.
        if part.first_ms < change.first_ms:  # noqa: PLR1730
            change.first_ms = part.first_ms
        if part.last_ms > change.last_ms:  # noqa: PLR1730
            change.last_ms = part.last_ms
        if part.label:
            change.labels.add(part.label)
        if part.channel:
            change.channels.add(part.channel)
        return change
