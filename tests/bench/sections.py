"""The parts of a run, each on servers of its own, and how much each measures."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from tally.tables.rules import Rules
from tests.bench.freshness import Plan as FreshnessPlan
from tests.bench.freshness import measure_freshness
from tests.bench.growth import Plan as GrowthPlan
from tests.bench.growth import measure_growth
from tests.bench.load import Size, load
from tests.bench.noise import Plan as NoisePlan
from tests.bench.noise import measure_noise
from tests.bench.reads import Plan as ReadsPlan
from tests.bench.reads import measure_reads
from tests.bench.reads_events import Size as ReadsSize
from tests.bench.reads_turns import Pace
from tests.bench.report import Report
from tests.bench.servers import PARTITIONS, Servers
from tests.bench.stages import measure_stages
from tests.bench.throughput import Bench, measure_throughput
from tests.bench.throughput_figures import Plan

STAGE_ROUNDS = 7
HALF = 0.5
REPLY_WINDOW_SECONDS = 7 * 86_400


class Sizes(Struct, frozen=True):
    """How much everything measures; as given, past warm-up and past every cache and buffer."""

    throughput: Plan = Plan(partitions=PARTITIONS)
    stage_messages: int = 10_000
    freshness: FreshnessPlan = FreshnessPlan()
    reads: ReadsPlan = ReadsPlan(partitions=PARTITIONS)
    growth: GrowthPlan = GrowthPlan()
    noise: NoisePlan = NoisePlan()
    per_second: float | None = None
    """The load of freshness and reads, where it is not to be half of the throughput."""
    peers: Path = Path()
    """The Python that has the peers in it."""

    def load_per_second(self, report: Report) -> float:
        """Return the load of freshness and reads: half of what was measured, unless another is asked for."""
        if self.per_second is not None:
            return self.per_second
        assert report.throughput, "there is no throughput to take half of: ask for a load"
        return report.throughput.median_per_second * HALF


QUICK = Sizes(
    throughput=Plan(1_500, 150, rounds=1, partitions=PARTITIONS),
    stage_messages=500,
    freshness=FreshnessPlan(20, 10.0, 5, 10.0, warm_up_seconds=3.0),
    reads=ReadsPlan(pace=Pace(rounds=2), size=ReadsSize().with_events(5_000), partitions=PARTITIONS),
    growth=GrowthPlan(300),
    noise=NoisePlan(20_000, 40_000),
    per_second=300.0,
)
"""Enough to see that everything runs."""


async def _throughput(there: Servers, sizes: Sizes, report: Report) -> None:
    records = load(Size(sizes.stage_messages), sizes.throughput.seed)
    report.stages = measure_stages(records, Rules(REPLY_WINDOW_SECONDS, ()), STAGE_ROUNDS)
    bench = Bench(there.bootstrap, there.dsn, there.folder, sizes.peers)
    report.throughput = await measure_throughput(bench, sizes.throughput)


async def _freshness(there: Servers, sizes: Sizes, report: Report) -> None:
    per_second = sizes.load_per_second(report)
    report.freshness = await measure_freshness(
        there.bootstrap, there.dsn, there.folder, per_second, sizes.freshness
    )


async def _reads(there: Servers, sizes: Sizes, report: Report) -> None:
    plan = structs.replace(sizes.reads, events_per_second=sizes.load_per_second(report))
    report.reads = await measure_reads(there.bootstrap, there.dsn, there.folder, plan)


async def _growth(there: Servers, sizes: Sizes, report: Report) -> None:
    report.growth = await measure_growth(there.environment(""), there.folder, sizes.growth)


async def _noise(there: Servers, sizes: Sizes, report: Report) -> None:
    report.noise = await measure_noise(there.environment("n-"), there.folder, sizes.noise)


SECTIONS: dict[str, Callable[[Servers, Sizes, Report], Coroutine[Any, Any, None]]] = {
    "throughput": _throughput,
    "freshness": _freshness,
    "reads": _reads,
    "growth": _growth,
    "noise": _noise,
}
