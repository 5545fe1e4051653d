"""Comparison of view, Postgres and recount, counter by counter. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from tally.schemas.counters import API_ORDER, DISTRIBUTIONS, MAPS

Key = tuple[str, ...]
Numbers = Mapping[str, Any]

SAID = ("name", "status", "tags", "planned", "limits")
"""What is said of a campaign, beside its numbers."""
CAMPAIGN_PARTS = 2
"""Parts of the key of a whole campaign; templates and operators have more."""
PLAIN = tuple(name for name in API_ORDER if name not in (*MAPS, *DISTRIBUTIONS))
WIDTH = 0.0102
"""The tolerance of percentiles: beyond 50 s each is the middle of a bucket 2 % wide."""


class Difference(Struct, frozen=True):
    """One counter of one campaign or template on which two sources disagree."""

    key: Key
    counter: str
    recounted: Any
    found: Any


def differences(recounted: Mapping[Key, Numbers], found: Mapping[Key, Numbers]) -> list[Difference]:
    """Return every counter that differs from the recount; a missing counter equals zero."""
    return [
        Difference(key, name, expected.get(name), actual.get(name))
        for key in sorted(recounted.keys() | found.keys())
        for expected, actual in [(recounted.get(key, {}), found.get(key, {}))]
        for name in (API_ORDER if len(key) > CAMPAIGN_PARTS else (*SAID, *API_ORDER))
        if not same(name, expected.get(name), actual.get(name))
    ]


def same(name: str, expected: Any, actual: Any) -> bool:
    """Return whether two sources agree on one counter."""
    if name in DISTRIBUTIONS:
        return _same_distribution(expected or {}, actual or {})
    return (expected or 0) == (actual or 0) or not (expected or actual)


def _same_distribution(expected: Mapping[str, int | None], actual: Mapping[str, int | None]) -> bool:
    return all(
        _near(name, expected.get(name) or 0, actual.get(name) or 0)
        for name in expected.keys() | actual.keys()
    )


def _near(name: str, expected: int, actual: int) -> bool:
    return abs(actual - expected) <= (WIDTH * expected if name.endswith("_ms") else 0)


def summed(rows: Iterable[Numbers]) -> dict[str, int]:
    """Return the sums of the plain counters of several rows."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: row.get(name) or 0 for name in PLAIN})
    return {name: total[name] for name in PLAIN}


class Deviation(Struct, frozen=True):
    """The total error of plain counters: how much is missing, and how much is too much."""

    lost: int
    doubled: int


def deviation(found: Iterable[Difference]) -> Deviation:
    """Return how much is missing, and how much is too much, in all differences of plain counters."""
    off = [(d.found or 0) - (d.recounted or 0) for d in found if d.counter in PLAIN]
    return Deviation(-sum(n for n in off if n < 0), sum(n for n in off if n > 0))
