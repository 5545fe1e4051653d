"""Summaries of several figures of one kind."""

import math
from collections.abc import Sequence
from statistics import median

from msgspec import Struct


class Spread(Struct, frozen=True):
    """Median, least and most of one figure over several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Return the spread of some figures."""
        return cls(median(figures), min(figures), max(figures))

    def __str__(self) -> str:
        return f"{self.median:,.0f} ({self.least:,.0f} to {self.most:,.0f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the percentile by nearest rank; `share` is from 0 to 1."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
