"""Time: the wall clock, a wait with a deadline, and pauses between retries."""

import asyncio
import time
from contextlib import suppress

from msgspec import Struct


def unix_ms() -> int:
    """Return the wall-clock time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def elapsed_s() -> float:
    """Return monotonic seconds in which, on Linux, those count in which the machine was suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


async def wait_for(event: asyncio.Event, timeout_seconds: float) -> bool:
    """Wait until an event is set or the timeout expires; return whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    return event.is_set()


class Backoff(Struct):
    """Exponential backoff: each failure in a row doubles the pause, up to a bound, with jitter."""

    first_seconds: float
    longest_seconds: float
    spread: float = 0.5
    """The share of a pause that is jitter: with 1.0, clients that fail together do not retry together."""
    failures: int = 0

    def failed(self, jitter: float) -> float:
        """Note one more failure; return how many seconds to pause. `jitter` is from 0 to 1."""
        self.failures += 1
        longest = min(self.longest_seconds, self.first_seconds * 2.0 ** min(self.failures - 1, 16))
        return longest * (1 - self.spread + self.spread * jitter)

    def succeeded(self) -> None:
        """Note a success: the next pause is the shortest."""
        self.failures = 0
