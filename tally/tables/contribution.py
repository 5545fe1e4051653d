"""Contributions: the counters that one state adds to its campaign's rows."""

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct, field

from tally.schemas.grains import RowKey

Counts = dict[str, int]


class Part(Struct, frozen=True, gc=False):
    """What one state adds to one row, and the span of its event times."""

    row: RowKey
    counts: Counts
    first_ms: int
    last_ms: int
    label: str = ""
    """The producer's template id; empty if unknown."""
    channel: str = ""
    """The channel of an attempt (`voice`, `whatsapp`); empty if unknown."""


def is_contested(parts: Sequence[Part]) -> bool:
    """Return whether one state's parts belong to several tenants: more than one claims its message."""
    return len({part.row.tenant for part in parts}) > 1


class Change(Struct, gc=False):
    """What a batch changes in one row: deltas of counts, the span of event times, labels and channels."""

    counts: defaultdict[str, int]
    first_ms: int
    last_ms: int
    labels: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)


class Changes(dict[RowKey, Change]):
    """The changes of all rows that a batch touches."""

    def move(self, old: Sequence[Part], new: Sequence[Part]) -> None:
        """Apply `contribution(new) - contribution(old)`."""
        if len(old) == len(new) == 1 and old[0].row == new[0].row:
            self._change(old[0].counts, new[0])
            return
        for part in old:
            counts = self._widened(part).counts
            for name, value in part.counts.items():
                counts[name] -= value
        for part in new:
            counts = self._widened(part).counts
            for name, value in part.counts.items():
                counts[name] += value

    def _change(self, old: Counts, new: Part) -> None:
        """Apply only the differences within one row: the common case, in which most counts stay."""
        counts, now = self._widened(new).counts, new.counts
        for name, value in now.items():
            if (before := old.get(name, 0)) != value:
                counts[name] += value - before
        for name, before in old.items():
            if name not in now:
                counts[name] -= before

    def _widened(self, part: Part) -> Change:
        """Return the change of a part's row, widened by the part's times, label and channel."""
        change = self.get(part.row)
        if change is None:
            change = self[part.row] = Change(defaultdict(int), part.first_ms, part.last_ms)
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
