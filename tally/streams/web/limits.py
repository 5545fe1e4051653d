"""How many requests a key may make: a steady rate and a burst, by key and class of addresses. Pure.

The generic cell rate algorithm: of each key one number is kept, the moment at which its burst is whole again.
A window of moments, as the library `limits` keeps it, costs memory for each request, and a timer's thread.
"""

from msgspec import Struct

MOST_KEYS = 10_000
"""Keys that are remembered; those whose burst is whole again are forgotten first."""


class Limit(Struct, frozen=True):
    """A limit: so many requests a second, and so many at once."""

    per_second: float
    burst: int


class KeyLimits:
    """The limits of all keys in one class of addresses."""

    def __init__(self, limit: Limit) -> None:
        self._gap_s = 1.0 / limit.per_second
        self._most_s = limit.burst / limit.per_second
        self._whole_at_s: dict[str, float] = {}

    def wait_seconds(self, key_id: str, now_s: float) -> float:
        """Count a request; return 0 if it is within the limit, else in how many seconds one would be."""
        whole_at_s = max(self._whole_at_s.get(key_id, now_s), now_s) + self._gap_s
        if (too_soon_s := whole_at_s - now_s - self._most_s) > 1e-9:
            return too_soon_s
        if len(self._whole_at_s) >= MOST_KEYS:
            self._whole_at_s = {key: at_s for key, at_s in self._whole_at_s.items() if at_s > now_s}
        self._whole_at_s[key_id] = whole_at_s
        return 0.0
