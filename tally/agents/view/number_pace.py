"""How fast business numbers send now: from sums of what each has had accepted, which are looked at. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from tally.agents.view.pace import Pace
from tally.schemas.cells import QUARTER_SECONDS
from tally.tables.postgres.number_counts import Sent

WINDOW_SECONDS = 3_600
"""A message of which nobody hears within an hour after it was sent is no pace."""
MOST_GAP_SECONDS = 10.0
"""What has come since a look that is longer ago was sent who knows when: it is no pace."""


class NumberOf(NamedTuple):
    """A business number of a tenant."""

    tenant: str
    number: str


class Window(Struct, frozen=True):
    """Since when a look needs the sums of accepted messages."""

    former_s: int
    """Where the window of the last look begins, since when both looks are compared."""
    since_s: int
    """Where the window of this look begins."""


class NumberPaces:
    """How fast all numbers send, by looks at what each has had accepted since the beginning of a window.

    What leaves the window at its far end is no sign of a slower pace: two looks are compared since the same
    beginning.
    """

    def __init__(self) -> None:
        self._window_s: int | None = None
        self._looked_s = 0.0
        self._sums: dict[NumberOf, int] = {}
        self._come: dict[NumberOf, int] = {}
        self._paces: dict[NumberOf, Pace] = {}

    def window(self, at_s: float, now_s: int) -> Window:
        """Return since when a look at this moment of both clocks needs sums."""
        since_s = now_s - now_s % QUARTER_SECONDS - WINDOW_SECONDS
        former_s = self._window_s
        if former_s is None or former_s > since_s or at_s - self._looked_s > MOST_GAP_SECONDS:
            former_s = since_s
            self.forget()
        return Window(former_s, since_s)

    def saw(self, at_s: float, window: Window, sent: Mapping[NumberOf, Sent]) -> None:
        """Take what numbers have had accepted; one that is not seen has had nothing since the beginning."""
        is_first = self._window_s is None
        for number in sent.keys() | self._paces.keys():
            found = sent.get(number, Sent())
            if not is_first:
                come = max(found.since_former - self._sums.get(number, 0), 0)
                self._come[number] = self._come.get(number, 0) + come
            if number not in self._paces:
                self._paces[number] = Pace()
                if not is_first:
                    self._paces[number].saw(self._looked_s, 0)
            self._paces[number].saw(at_s, self._come.get(number, 0))
        self._sums = {number: found.since for number, found in sent.items()}
        self._window_s, self._looked_s = window.since_s, at_s

    def forget(self) -> None:
        """Begin anew: what is seen next is no pace, for it was sent who knows when."""
        self._window_s = None
        self._sums, self._come, self._paces = {}, {}, {}

    def of(self, tenant: str) -> dict[str, Pace]:
        """Return how fast a tenant's numbers send, by number."""
        return {named.number: pace for named, pace in self._paces.items() if named.tenant == tenant}
