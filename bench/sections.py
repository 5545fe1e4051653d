"""The sections of a run, each on separate servers, and their sizes."""

from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct, structs

from bench.freshness import Plan as FreshnessPlan
from bench.freshness import measure_freshness
from bench.growth import Plan as GrowthPlan
from bench.growth import measure_growth
from bench.load import Size, load
from bench.noise import Plan as NoisePlan
from bench.noise import measure_noise
from bench.reads import Plan as ReadsPlan
from bench.reads import measure_reads
from bench.reads_events import Size as ReadsSize
from bench.reads_turns import Pace
from bench.report import Report
from bench.servers import Servers
from bench.stages import measure_stages
from bench.throughput import measure_throughput
from bench.throughput_figures import Plan
from tests.support.workers import settings_of

STAGE_ROUNDS = 7
HALF = 0.5


class Sizes(Struct, frozen=True):
    """The size of each section; the defaults exceed warm-up and every cache and buffer."""

    throughput: Plan = Plan()
    stage_messages: int = 10_000
    freshness: FreshnessPlan = FreshnessPlan()
    reads: ReadsPlan = ReadsPlan()
    growth: GrowthPlan = GrowthPlan()
    noise: NoisePlan = NoisePlan()
    per_second: float | None = None
    """The load of freshness and reads in events/s; by default half of the throughput."""

    def load_per_second(self, report: Report) -> float:
        """Return the load of freshness and reads: `per_second` if given, else half of the throughput."""
        if self.per_second is not None:
            return self.per_second
        assert report.throughput, "there is no throughput to take half of: ask for a load"
        return report.throughput.median_per_second * HALF


QUICK = Sizes(
    throughput=Plan(1_500, 150, rounds=1),
    stage_messages=500,
    freshness=FreshnessPlan(
        in_view=20, view_seconds=10.0, in_postgres=6, postgres_seconds=10.0, warm_up_seconds=3.0
    ),
    reads=ReadsPlan(pace=Pace(rounds=2), size=ReadsSize().with_events(5_000)),
    growth=GrowthPlan(300),
    noise=NoisePlan(20_000, 40_000),
    per_second=300.0,
)
"""Sizes that only show that everything runs."""


async def _throughput(there: Servers, sizes: Sizes, report: Report) -> None:
    records = load(Size(sizes.stage_messages), sizes.throughput.seed)
    report.stages = measure_stages(records, settings_of(there.environment("")), STAGE_ROUNDS)
    report.throughput = await measure_throughput(there, sizes.throughput)


async def _freshness(there: Servers, sizes: Sizes, report: Report) -> None:
    plan = structs.replace(sizes.freshness, events_per_second=sizes.load_per_second(report))
    report.freshness = await measure_freshness(there, plan)


async def _reads(there: Servers, sizes: Sizes, report: Report) -> None:
    plan = structs.replace(sizes.reads, events_per_second=sizes.load_per_second(report))
    report.reads = await measure_reads(there, plan)


async def _growth(there: Servers, sizes: Sizes, report: Report) -> None:
    report.growth = await measure_growth(there, sizes.growth)


async def _noise(there: Servers, sizes: Sizes, report: Report) -> None:
    report.noise = await measure_noise(there, sizes.noise)


SECTIONS: dict[str, Callable[[Servers, Sizes, Report], Coroutine[Any, Any, None]]] = {
    "throughput": _throughput,
    "freshness": _freshness,
    "reads": _reads,
    "growth": _growth,
    "noise": _noise,
}
