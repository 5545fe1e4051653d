"""A tenant's campaigns ordered by last activity, newest first, and updated incrementally."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import NamedTuple

REBUILD_SHARE = 16
"""If more than one campaign in so many has moved, sorting all is cheaper than moving each."""


class Rank(NamedTuple):
    """The sort key of a campaign: newest activity first, then by id."""

    minus_last_ms: int
    campaign: str


class Recent:
    """Campaigns ordered by last activity; a move is only noted until the order is read.

    While a changelog is read from its beginning, every row moves its campaign and no request reads the order.
    Later, few campaigns move between two reads, and each costs a binary search in a list of pointers.
    """

    def __init__(self) -> None:
        self._order: list[Rank] = []
        self._ranks: dict[str, Rank] = {}
        self._moved: dict[str, Rank | None] = {}

    def move(self, campaign: str, last_ms: int) -> None:
        """Rank a campaign by its last activity."""
        self._moved[campaign] = Rank(-last_ms, campaign)

    def remove(self, campaign: str) -> None:
        """Take a campaign out of the order."""
        self._moved[campaign] = None

    def after(self, rank: Rank | None) -> Iterator[Rank]:
        """Yield the ranks after one; with None, all. Any other call invalidates the iterator."""
        self._sort_moved()
        start = 0 if rank is None else bisect_right(self._order, rank)
        for index in range(start, len(self._order)):
            yield self._order[index]

    def _sort_moved(self) -> None:
        if len(self._moved) * REBUILD_SHARE > len(self._order):
            self._rebuild()
            return
        for campaign, rank in self._moved.items():
            former = self._ranks.pop(campaign, None)
            if former is not None:
                del self._order[bisect_left(self._order, former)]
            if rank is not None:
                insort(self._order, rank)
                self._ranks[campaign] = rank
        self._moved.clear()

    def _rebuild(self) -> None:
        for campaign, rank in self._moved.items():
            if rank is None:
                self._ranks.pop(campaign, None)
            else:
                self._ranks[campaign] = rank
        self._moved.clear()
        self._order = sorted(self._ranks.values())
