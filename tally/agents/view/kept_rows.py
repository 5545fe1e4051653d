"""Rows as their changelog has them; decoded anew for whoever asks, since most change before anybody does."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tally.agents.view.campaign import Campaign
from tally.schemas.keys import RowKey
from tally.schemas.rows import Row, decode_head, decode_row

Groups = Callable[[RowKey | None], Iterable[Campaign]]
"""The campaign of a key, or all of them."""


class KeptRows(Mapping[RowKey, Row]):
    """The newest rows of a partition; live, not a copy.

    Decoded, a row of a busy campaign (a hundred counts) takes two and a half times the memory of its bytes,
    and decoding it seven times as long as its head.
    """

    def __init__(self, partition: int, groups: Groups) -> None:
        self._partition = partition
        self._groups = groups

    def __getitem__(self, key: RowKey) -> Row:
        """Return a key's row. Raises KeyError."""
        for group in self._groups(key):
            if (value := group.value(key.template, self._partition)) is not None:
                return decode_row(value)
        raise KeyError(key)

    def __iter__(self) -> Iterator[RowKey]:
        """Yield the keys that have a row."""
        return (key for key, _ in self.offsets())

    def __len__(self) -> int:
        """Return how many rows there are."""
        return sum(1 for _ in self)

    def offsets(self) -> Iterator[tuple[RowKey, int]]:
        """Yield key and next offset of each row; rows may change before it has come to its end.

        What comes or goes meanwhile may be among them or not.
        """
        for group in self._groups(None):
            for template, slots in group.snapshot():
                for partition, value in slots:
                    if partition == self._partition:
                        key = RowKey(group.tenant, group.campaign, template)
                        yield key, decode_head(value).next_offset
