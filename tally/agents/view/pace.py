"""How fast a campaign goes, and when it will be done: from numbers that are looked at now and then. Pure."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

SHORT_SECONDS, LONG_SECONDS = 10.0, 60.0
LOOKS_SECONDS = 0.2
"""Looks that are closer together than this are one: whoever asks often costs no memory."""
MOST_PACES = 1_000


class Progress(Struct, frozen=True):
    """Where a campaign stands at one moment."""

    name: str
    status: str
    planned: int | None
    sent: int
    """Messages that the provider took; of a voice campaign, attempts that were dialled."""
    failed: int
    done: int
    """Contacts that do not wait; of a voice campaign, attempts that were dialled."""

    @property
    def left(self) -> int | None:
        """How many of what is planned are still to come; None where nobody said how many that is."""
        return None if self.planned is None else max(self.planned - self.done, 0)


def progress_of(entry: Mapping[str, Any]) -> Progress:
    """Return where a campaign stands, from its entry in the list of campaigns."""
    totals = entry["totals"]
    if entry["channel"] == "voice":
        # Its producers may say no more than that a call waits: then `queued` stays when the call is over.
        sent = done = totals["attempted"]
    else:
        sent, done = totals["accepted"], max(totals["contacts"] - totals["queued"], 0)
    return Progress(
        entry["name"] or entry["campaign"],
        entry["status"] or "",
        entry["planned"],
        sent,
        totals["failed"],
        done,
    )


class Pace:
    """What was done at the moments of the last minute, and how fast that is."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def saw(self, at_s: float, done: int) -> None:
        """Take what is done at a moment, which is not earlier than any before."""
        if len(self._seen) > 1 and at_s - self._seen[-2][0] < LOOKS_SECONDS:
            self._seen.pop()
        self._seen.append((at_s, done))
        # One that is older than the minute is kept: the minute begins behind it.
        while len(self._seen) > 2 and self._seen[1][0] <= at_s - LONG_SECONDS:
            self._seen.popleft()

    def per_second(self, seconds: float) -> float | None:
        """Return how many a second were done in the last so many seconds; None before two moments are known.

        Where less time has been looked at, it is the rate of that.
        """
        if len(self._seen) < 2:
            return None
        now_s, now = self._seen[-1]
        then_s, then = next((one for one in reversed(self._seen) if one[0] <= now_s - seconds), self._seen[0])
        return (now - then) / (now_s - then_s) if now_s > then_s else None

    def seconds_left(self, left: int | None) -> float | None:
        """Return after how many seconds what is left will be done, at the pace of the last minute."""
        rate = self.per_second(LONG_SECONDS)
        if left is None or not rate or rate < 0:
            return None
        return left / rate


class Paces:
    """The paces of the campaigns that were asked for last."""

    def __init__(self) -> None:
        self._of: OrderedDict[tuple[str, str], Pace] = OrderedDict()

    def saw(self, tenant: str, campaign: str, at_s: float, done: int) -> Pace:
        """Take what is done of a campaign at a moment, and return its pace."""
        pace = self._of.setdefault((tenant, campaign), Pace())
        self._of.move_to_end((tenant, campaign))
        if len(self._of) > MOST_PACES:
            self._of.popitem(last=False)
        pace.saw(at_s, done)
        return pace
