"""Whether the time of an answer tells one thing from another."""

from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter

TIMED = 300
TRIES = 3
"""A machine that is busy with other things may hit one of the two more often, hardly three times."""


async def difference(first: Callable[[], Awaitable[None]], second: Callable[[], Awaitable[None]]) -> float:
    """Return by which share the medians of many calls differ, taken in turn; the least of some tries."""
    least = float("inf")
    for _ in range(TRIES):
        took_s: tuple[list[float], list[float]] = ([], [])
        for number in range(TIMED):
            pairs = list(zip((first, second), took_s, strict=True))
            # Each goes first as often as the other: what comes second finds warm caches.
            for ask, seconds in pairs if number % 2 else reversed(pairs):
                began_s = perf_counter()
                await ask()
                seconds.append(perf_counter() - began_s)
        one, other = map(median, took_s)
        least = min(least, abs(one - other) / min(one, other))
        if least < 0.2:
            break
    return least
