"""What is asked of time: the wall clock, a wait with a deadline, and pauses between tries."""

import asyncio
import time
from contextlib import suppress

from msgspec import Struct


def unix_ms() -> int:
    """Return the time of the wall clock."""
    return time.time_ns() // 1_000_000


async def wait_for(event: asyncio.Event, timeout_seconds: float) -> bool:
    """Wait until an event is set, but no longer than so many seconds; return whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    return event.is_set()


class Backoff(Struct):
    """How long to pause after failures in a row: doubling, bounded, and never in step with others."""

    first_seconds: float
    longest_seconds: float
    spread: float = 0.5
    """The part of a pause that is jitter: with 1.0 those that fail together do not come again together."""
    failures: int = 0

    def failed(self, jitter: float) -> float:
        """Note one more failure; return how long to pause. `jitter` is from 0 to 1."""
        self.failures += 1
        longest = min(self.longest_seconds, self.first_seconds * 2.0 ** min(self.failures - 1, 16))
        return longest * (1 - self.spread + self.spread * jitter)

    def succeeded(self) -> None:
        """Note that it works again: the next pause is the shortest."""
        self.failures = 0
