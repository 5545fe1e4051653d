"""Distributions of durations as integer counts in fixed logarithmic buckets.

Counts add and subtract exactly, as contributions must; a quantile sketch cannot subtract. A bucket's name is
the number of seconds that represents it. Up to 50 s each second has its own bucket (Meta's times are whole
seconds). Beyond that a bucket is at most 2 % wide and its middle represents it, which is at most 1 % off. One
ends at each of `AGES`, so that it is exactly known how many durations are no longer.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from tally.schemas.fields import MAX_SECONDS

NEGATIVE = "negative"
PERCENTILES = (50, 95, 99)


_MINUTE, _HOUR = 60, 3_600
_DAY = 24 * _HOUR
AGES: tuple[int, ...] = (
    *(10, 30),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 3, 7)),
)
"""Seconds within which counts are exact."""


def _bounds() -> list[int]:
    bounds = [0]
    while (bound := bounds[-1]) < MAX_SECONDS:
        after_age = min((age + 1 for age in AGES if age >= bound), default=MAX_SECONDS + 1)
        bounds.append(min(max(bound + 1, bound * 102 // 100), after_age))
    return bounds


_LOWER = _bounds()
_MIDDLE = [
    str((low + high - 1) // 2) for low, high in zip(_LOWER, [*_LOWER[1:], _LOWER[-1] + 1], strict=True)
]

BUCKETS: tuple[str, ...] = tuple(_MIDDLE)
"""All buckets of non-negative durations, the shortest first."""


class Summary(Struct, frozen=True):
    """A distribution as the read API shows it: percentiles in milliseconds, None if nothing was counted."""

    count: int
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    negative: int


def bucket(seconds: int) -> str:
    """Return the bucket of a duration; all negative ones share the bucket `negative`."""
    return NEGATIVE if seconds < 0 else _MIDDLE[bisect_right(_LOWER, seconds) - 1]


def summarise(counts: Mapping[str, int]) -> Summary:
    """Return count and percentiles (nearest rank) of a distribution, and its negative durations."""
    buckets = sorted((name for name in counts if name != NEGATIVE), key=int)
    up_to = list(accumulate(map(counts.__getitem__, buckets)))
    p50, p95, p99 = (_nearest_rank(buckets, up_to, percent) for percent in PERCENTILES)
    return Summary(up_to[-1] if up_to else 0, p50, p95, p99, counts.get(NEGATIVE, 0))


def _nearest_rank(buckets: Sequence[str], up_to: Sequence[int], percent: int) -> int | None:
    """Return, in ms, the first bucket whose cumulative count in `up_to` reaches `percent` of all."""
    if not up_to:
        return None
    rank = -(-up_to[-1] * percent // 100)
    return int(buckets[bisect_left(up_to, rank)]) * 1000
