"""The order of a tenant's campaigns, newest activity first, kept while activity goes on."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import NamedTuple

REBUILD_SHARE = 16
"""Beyond one moved campaign in so many, sorting all of them anew is cheaper than moving each."""


class Rank(NamedTuple):
    """Where a campaign stands: newest activity first, and then by its id."""

    minus_last_ms: int
    campaign: str


class Recent:
    """Campaigns ordered by last activity; a change costs nothing until somebody reads the order.

    While a changelog is read from its beginning every row moves its campaign, and nobody looks. Later a
    few campaigns move between two readings, and each costs a binary search in a list of pointers.
    """

    def __init__(self) -> None:
        self._order: list[Rank] = []
        self._ranks: dict[str, Rank] = {}
        self._moved: dict[str, Rank | None] = {}

    def move(self, campaign: str, last_ms: int) -> None:
        """Give a campaign its rank by its last activity."""
        self._moved[campaign] = Rank(-last_ms, campaign)

    def remove(self, campaign: str) -> None:
        """Take a campaign out of the order."""
        self._moved[campaign] = None

    def after(self, rank: Rank | None) -> Iterator[Rank]:
        """Yield the ranks behind one, or all of them. Not to be used across other calls."""
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
