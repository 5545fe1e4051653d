"""How surely a share is more than it may be, from counts. Pure."""

from math import sqrt

from msgspec import Struct

Z = 1.6449
"""One-sided 95 %: of a hundred shares that are what they may be, at most five are called too high."""
HIGH_SHARE = 0.10
"""A share of failures that is surely above this is shown in red, and counted by a metric."""
LEAST_SENDS = 50
DIGITS = 4


class FailureShare(Struct, frozen=True):
    """How much of what was sent has failed."""

    value: float | None
    """None while nothing was sent."""
    sends: int
    at_least: float
    """What the share is at least, with 95 % confidence."""
    is_high: bool


def lower_bound(part: int, of: int) -> float:
    """Return what a share is at least, with 95 % confidence; 0 of nothing.

    Wilson's score interval (JASA 22, 1927): unlike the normal one it holds for few sends and near 0.
    """
    if not part or not of:
        return 0.0
    share = part / of
    middle = share + Z * Z / (2 * of)
    spread = Z * sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    return min(share, max(0.0, (middle - spread) / (1 + Z * Z / of)))


def failure_share(failed: int, sends: int) -> FailureShare:
    """Return the share of sends that failed, and whether it is surely too high.

    Not of all attempts: a campaign that begins has most of them still queued, and would hide that all fail.
    """
    sends = max(sends, failed)
    at_least = lower_bound(failed, sends)
    value = round(failed / sends, DIGITS) if sends else None
    return FailureShare(value, sends, round(at_least, DIGITS), sends >= LEAST_SENDS and at_least > HIGH_SHARE)
