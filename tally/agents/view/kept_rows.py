"""Rows as the view keeps them: unpacked anew for whoever asks, since most change before anybody does."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tally.agents.view.campaign import Campaign, Snapshot
from tally.agents.view.packed_rows import unpacked
from tally.schemas.keys import RowKey, Template
from tally.schemas.rows import Row, decode_head

Groups = Callable[[RowKey | None], Iterable[Campaign]]
"""The campaign of a key, or all of them."""
LOOKED_THROUGH = 500
"""Templates that are looked through in one step, most of a millisecond."""


class KeptRows(Mapping[RowKey, Row]):
    """The newest rows of a partition; live, not a copy."""

    def __init__(self, partition: int, groups: Groups) -> None:
        self._partition = partition
        self._groups = groups

    def __getitem__(self, key: RowKey) -> Row:
        """Return a key's row. Raises KeyError."""
        for group in self._groups(key):
            if (value := group.value(key.template, self._partition)) is not None:
                return unpacked(value)
        raise KeyError(key)

    def __iter__(self) -> Iterator[RowKey]:
        """Yield the keys that have a row."""
        return (row[0] for row in self.offsets() if row is not None)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return sum(1 for _ in self)

    def offsets(self) -> Iterator[tuple[RowKey, int] | None]:
        """Yield key and next offset of each row, and None where many were looked through.

        Rows may change before it has come to its end; one that comes or goes meanwhile may be among them.
        """
        for group in self._groups(None):
            snapshot = group.snapshot()
            for start in range(0, len(snapshot), LOOKED_THROUGH):
                yield None
                for template, value in self._ours(snapshot[start : start + LOOKED_THROUGH]):
                    key = RowKey(group.tenant, group.campaign, template)
                    yield key, decode_head(value).next_offset

    def _ours(self, snapshot: Snapshot) -> list[tuple[Template | None, bytes]]:
        ours = self._partition
        return [(t, value) for t, slots in snapshot for partition, value in slots if partition == ours]
