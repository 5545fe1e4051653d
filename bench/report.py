"""All figures of one run of the benchmarks."""

from msgspec import Struct, field

from bench.answers import Answered
from bench.budget import Budget
from bench.freshness import Freshness
from bench.growth import Growth
from bench.throughput_figures import Throughput


class Report(Struct):
    """The figures of each section; None where it was not requested or has failed."""

    throughput: Throughput | None = None
    freshness: Freshness | None = None
    answers: Answered | None = None
    growth: Growth | None = None
    budget: Budget | None = None
    failed: list[str] = field(default_factory=list)
    """Sections that raised, for a wrong number or a missed deadline."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each section took."""
