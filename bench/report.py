"""All figures of one run of the benchmarks."""

from msgspec import Struct, field

from bench.freshness import Freshness
from bench.growth_report import Growth
from bench.noise import Noise
from bench.reads_report import ReadsReport
from bench.stages import Stages
from bench.throughput_figures import Throughput


class Report(Struct):
    """The figures of each section; None where it was not requested or has failed."""

    throughput: Throughput | None = None
    stages: Stages | None = None
    freshness: Freshness | None = None
    reads: ReadsReport | None = None
    growth: Growth | None = None
    noise: Noise | None = None
    failed: list[str] = field(default_factory=list)
    """Sections that raised, for a wrong number or a missed deadline."""
