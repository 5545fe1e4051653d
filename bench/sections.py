"""The sections of a run, each on separate servers, and their sizes."""

from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct, structs

from bench.answers import Plan as AnswersPlan
from bench.answers import measure_answers
from bench.budget import Plan as BudgetPlan
from bench.budget import measure_budget
from bench.freshness import FIXED_LOADS, measure_freshness
from bench.freshness import Plan as FreshnessPlan
from bench.growth import Plan as GrowthPlan
from bench.growth import measure_growth
from bench.report import Report
from bench.servers import Servers
from bench.steady_load import WarmUp
from bench.targets import HALF
from bench.throughput import measure_throughput
from bench.throughput_figures import Plan


class Sizes(Struct, frozen=True):
    """The size of each section; the defaults exceed warm-up and every cache and buffer."""

    throughput: Plan = Plan()
    freshness: FreshnessPlan = FreshnessPlan()
    answers: AnswersPlan = AnswersPlan()
    growth: GrowthPlan = GrowthPlan()
    budget: BudgetPlan = BudgetPlan()
    half_per_second: float | None = None
    """The largest load of freshness in events/s; by default half of the throughput that was measured."""

    def loads(self, report: Report) -> tuple[float, ...]:
        """Return the loads of freshness: the fixed ones, and half of the maximum where it is known."""
        half = self.half_per_second
        if half is None and report.throughput is not None:
            half = report.throughput.median_per_second * HALF
        return self.freshness.loads if half is None else (*self.freshness.loads, half)


SHORT = WarmUp(200.0, 3.0)
QUICK = Sizes(
    throughput=Plan(1_500, 150, rounds=1),
    freshness=FreshnessPlan(
        loads=tuple(load / 20 for load in FIXED_LOADS), probes=30, warm_up=SHORT, settle_seconds=1.0
    ),
    answers=AnswersPlan(500.0, asking_seconds=3.0, warm_up=SHORT, settle_seconds=1.0),
    growth=GrowthPlan(300),
    budget=BudgetPlan(200.0, probes=30, warm_up=SHORT, settle_seconds=1.0),
    half_per_second=700.0,
)
"""Sizes that only show that everything runs."""


async def _throughput(there: Servers, sizes: Sizes, report: Report) -> None:
    report.throughput = await measure_throughput(there, sizes.throughput)


async def _freshness(there: Servers, sizes: Sizes, report: Report) -> None:
    plan = structs.replace(sizes.freshness, loads=sizes.loads(report))
    report.freshness = await measure_freshness(there, plan)


async def _answers(there: Servers, sizes: Sizes, report: Report) -> None:
    report.answers = await measure_answers(there, sizes.answers)


async def _growth(there: Servers, sizes: Sizes, report: Report) -> None:
    report.growth = await measure_growth(there, sizes.growth)


async def _budget(there: Servers, sizes: Sizes, report: Report) -> None:
    report.budget = await measure_budget(there, sizes.budget)


SECTIONS: dict[str, Callable[[Servers, Sizes, Report], Coroutine[Any, Any, None]]] = {
    "throughput": _throughput,
    "freshness": _freshness,
    "answers": _answers,
    "growth": _growth,
    "budget": _budget,
}
