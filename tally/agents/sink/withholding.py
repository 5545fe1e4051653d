"""What Postgres has refused of one partition, and when it is tried again. Pure."""

from collections.abc import Iterable
from typing import ClassVar

from tally.tables.postgres.writer import MOST_WITHHELD, Key, Order, Written

AGAIN_SECONDS = 300.0
"""How long what was refused waits for its next try: each try costs Postgres refused statements and log."""
UNSEARCHED_SECONDS = 60.0
"""And what was withheld together with it, without a search."""
DUE_AT_ONCE = 200


class Withheld:
    """The keys that `tally.withheld` holds of one partition."""

    MOST: ClassVar[int] = MOST_WITHHELD

    def __init__(self) -> None:
        self._retry_at_s: dict[Key, float] = {}

    @classmethod
    def of(cls, keys: Iterable[Key], now_s: float) -> "Withheld":
        """Return what an opening finds: all of it is tried again."""
        found = cls()
        found._retry_at_s = dict.fromkeys(keys, now_s)
        return found

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._retry_at_s)

    @property
    def keys(self) -> set[Key]:
        """All of them."""
        return set(self._retry_at_s)

    def untried(self, now_s: float) -> set[Key]:
        """Return those that are not to be tried now."""
        return {key for key, at_s in self._retry_at_s.items() if at_s > now_s}

    def due(self, now_s: float) -> list[Key]:
        """Return some that are to be tried again, even if nothing of them has changed."""
        due = [key for key, at_s in self._retry_at_s.items() if at_s <= now_s]
        return due[:DUE_AT_ONCE]

    def note(self, order: Order, written: Written, now_s: float) -> None:
        """Note what became of an order."""
        for key in order.entries:
            if key not in order.untried or order.entries[key] is None:
                self._retry_at_s.pop(key, None)
        for key in written.refused:
            wait_seconds = UNSEARCHED_SECONDS if key in written.unsearched else AGAIN_SECONDS
            self._retry_at_s[key] = now_s + wait_seconds
