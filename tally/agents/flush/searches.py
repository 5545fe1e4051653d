"""How often Postgres is asked which rows it cannot store. Pure."""

from collections import deque

SEARCHED_ROWS = 50
SEARCHED_SECONDS = 60.0
"""So many rows are found in a minute at most: each costs Postgres some ten refused statements, and a page of
its log. Thousands of them would otherwise hold up all other rows, and fill its disk."""
FOUND_AT_ONCE = 16
"""A search ends with so many rows, so that it keeps its deadline whatever a batch looks like."""


class Searches:
    """What is left of the rows that may be searched for; one for all partitions of a process."""

    def __init__(self) -> None:
        self._at_seconds: deque[float] = deque()

    def reserve(self, now_seconds: float) -> int:
        """Return for how many rows one may search now, and keep them from others."""
        while self._at_seconds and self._at_seconds[0] <= now_seconds - SEARCHED_SECONDS:
            self._at_seconds.popleft()
        rows = min(FOUND_AT_ONCE, SEARCHED_ROWS - len(self._at_seconds))
        self._at_seconds.extend([now_seconds] * rows)
        return rows

    def give_back(self, rows: int) -> None:
        """Leave to others what a search has not found."""
        for _ in range(rows):
            self._at_seconds.pop()

    def free_at_seconds(self) -> float:
        """Return when one may search again."""
        return self._at_seconds[0] + SEARCHED_SECONDS if self._at_seconds else 0.0
