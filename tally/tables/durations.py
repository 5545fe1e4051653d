"""Distributions of durations as integer counts in fixed logarithmic buckets.

They add and subtract exactly, so they can be contributions; a sketch that cannot subtract could not.
A bucket is named by the seconds that stand for it. Up to 50 s each second has its own (Meta's times are
whole seconds), beyond that a bucket is 2 % wide and answers for its middle: at most 1 % off.
"""

from bisect import bisect_right
from collections.abc import Mapping

from msgspec import Struct

from tally.schemas.fields import MAX_SECONDS

NEGATIVE = "negative"
PERCENTILES = (50, 95, 99)


def _bounds() -> list[int]:
    bounds = [0]
    while bounds[-1] < MAX_SECONDS:
        bounds.append(max(bounds[-1] + 1, bounds[-1] * 102 // 100))
    return bounds


_LOWER = _bounds()
_MIDDLE = [
    str((low + high - 1) // 2) for low, high in zip(_LOWER, [*_LOWER[1:], _LOWER[-1] + 1], strict=True)
]


class Summary(Struct, frozen=True):
    """A distribution as pages show it; milliseconds, None where nothing was counted."""

    count: int
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    negative: int


def bucket(seconds: int) -> str:
    """Return the bucket of a duration; negative ones are counted apart."""
    return NEGATIVE if seconds < 0 else _MIDDLE[bisect_right(_LOWER, seconds) - 1]


def summarise(counts: Mapping[str, int]) -> Summary:
    """Return count and percentiles (nearest rank) of a distribution."""
    negative = counts.get(NEGATIVE, 0)
    ordered = sorted((int(name), count) for name, count in counts.items() if name != NEGATIVE)
    total = sum(count for _, count in ordered)
    p50, p95, p99 = (_nearest_rank(ordered, total, percent) for percent in PERCENTILES)
    return Summary(total, p50, p95, p99, negative)


def _nearest_rank(ordered: list[tuple[int, int]], total: int, percent: int) -> int | None:
    rank = -(-total * percent // 100)
    for seconds, count in ordered:
        rank -= count
        if rank <= 0:
            return seconds * 1000
    return None
