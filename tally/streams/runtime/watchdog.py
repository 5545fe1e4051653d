"""Ends a process whose event loop is stuck; runs in a thread, since a stuck loop cannot act itself."""

import sys
import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from traceback import walk_stack

LOOK_SECONDS = 0.5
LONGEST_BEAT_SECONDS = 1.0
BEATS = 4
"""Least number of beats of a running loop within the time for which it may stand still."""

Stacks = dict[str, list[str]]
End = Callable[[str, Stacks], object]


def stood_still(beat_at_s: float, now_s: float, limit_s: float) -> str | None:
    """Return why a loop with this last beat counts as stuck, or None if it does not. Pure."""
    still_s = now_s - beat_at_s
    return None if still_s <= limit_s else f"stood still for {still_s:.1f} s, longer than the group's session"


class Watchdog:
    """Ends the process once its event loop has stood still for longer than the group's session.

    A process that was paused has lost its partitions, and its data is stale. A process whose loop alone is
    stuck has not: the consumers' threads keep sending heartbeats, and no other worker gets its partitions
    until it ends. Code that never releases the interpreter's lock stops this thread as well; only a liveness
    probe without an answer detects that.
    """

    def __init__(self, limit_seconds: float, end: End, monotonic: Callable[[], float]) -> None:
        self._limit_s = limit_seconds
        self._end = end
        self._monotonic = monotonic
        self._beat_at_s = monotonic()
        self.beat_seconds = min(LONGEST_BEAT_SECONDS, limit_seconds / BEATS)
        """Interval at which the loop must beat."""

    def start(self) -> None:
        """Watch from now on, until the process ends."""
        self._beat_at_s = self._monotonic()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        """Record that the loop runs; called by the loop, which may wake up before the thread has looked."""
        self.look()
        self._beat_at_s = self._monotonic()

    def rest(self) -> None:
        """End the process no more: it is asked to stop, which has a deadline of its own.

        A stop flushes files to disk, which a busy disk may make wait for longer than a session; nothing is
        left then that a new owner of the partitions would not be protected from.
        """
        self._limit_s = inf

    def look(self) -> bool:
        """End the process if its loop stood still for too long; return whether it did."""
        reason = stood_still(self._beat_at_s, self._monotonic(), self._limit_s)
        if reason is None:
            return False
        self._end(reason, stacks())
        return True

    def _watch(self) -> None:
        while not self.look():
            time.sleep(LOOK_SECONDS)


def stacks() -> Stacks:
    """Return the stack of every thread, innermost call first: code locations only, values may be private."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        f"{names.get(ident, 'unknown')} {ident}": [
            f"{Path(at.f_code.co_filename).name}:{line} {at.f_code.co_qualname}"
            for at, line in walk_stack(frame)
        ]
        for ident, frame in sys._current_frames().items()
    }
