"""Freshness: the delay from the publication of an event to a campaign's answer, and to Postgres.

One worker is probed at one load after another, and then without a load.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from bench.figures import percentile
from bench.load import Size
from bench.plain_count import check_plainly
from bench.probes import IDLE, SEEN_SECONDS, TO_POSTGRES, TO_VIEW, Pace, Prober
from bench.servers import Servers, own_database
from bench.steady_load import CARRIED, SteadyLoad, WarmUp
from bench.worker import TWO, Worker, running
from tests.support.judge import counted, prepare

FIXED_LOADS = (3_300.0, 10_000.0)
COUNTED_SECONDS = 300.0
"""How long a worker that fell behind a load may take for the rest."""
MOST_SECONDS = 30.0
"""No probe begins later after the first one of its kind."""


class Plan(Struct, frozen=True):
    """Number of probes of each kind at each load, and warm-up."""

    loads: tuple[float, ...] = FIXED_LOADS
    """Events a second."""
    probes: int = 400
    warm_up: WarmUp = WarmUp()
    settle_seconds: float = 6.0
    """Before the probes of each load."""
    seed: int = 7

    @property
    def size(self) -> Size:
        """The size of a load that lasts as long as all probes."""
        each_s = self.settle_seconds + 2 * (MOST_SECONDS + SEEN_SECONDS) + 5.0
        return Size.of_events(self.warm_up.events + sum(self.loads) * each_s)


class Delay(Struct, frozen=True):
    """The delay from the broker's acknowledgement of a probe until a poll sees it."""

    p50_ms: float
    p99_ms: float
    probes: int


class AtLoad(Struct, frozen=True):
    """The delays at one load."""

    wanted_per_second: float
    carried_per_second: float
    """The raw events per second that the worker routed while it was probed."""
    view: Delay
    postgres: Delay

    @property
    def is_carried(self) -> bool:
        """Whether it is a figure of the load that was wanted."""
        return self.carried_per_second >= CARRIED * self.wanted_per_second


class Freshness(Struct, frozen=True):
    """Delays at each load in turn, and without one."""

    loads: tuple[AtLoad, ...]
    idle: Delay

    def at(self, per_second: float) -> AtLoad:
        """Return the delays at a load."""
        return next(one for one in self.loads if one.wanted_per_second == per_second)


def delay(seconds: Sequence[float]) -> Delay:
    """Return median and 99th percentile by nearest rank; none of them is less than nothing."""
    p50, p99 = (max(percentile(seconds, share), 0.0) * 1000 for share in (0.5, 0.99))
    return Delay(p50, p99, len(seconds))


async def delay_of(prober: Prober, pace: Pace, count: int) -> Delay:
    """Probe, and return the delay."""
    return delay([one.delay_s for one in await prober.probed(pace, count, MOST_SECONDS)])


async def measure_freshness(there: Servers, plan: Plan) -> Freshness:
    """Measure one worker under loads, then without one. Raises AssertionError where it counts wrong."""
    async with own_database(there.environment("fresh-")) as environment:
        await prepare(environment)
        worker = Worker(environment, there.folder, "fresh", TWO)
        flow = SteadyLoad(environment, plan.size, plan.seed)
        async with running(worker), Prober(worker) as prober, flow:
            await plan.warm_up.run(flow)
            loads = [await at_load(worker, prober, flow, plan, load) for load in plan.loads]
            await flow.ended()
            await counted(worker, COUNTED_SECONDS)
            idle = await delay_of(prober, IDLE, plan.probes)
            await check_plainly(worker, await flow.right())
    return Freshness(tuple(loads), idle)


async def at_load(worker: Worker, prober: Prober, flow: SteadyLoad, plan: Plan, per_second: float) -> AtLoad:
    """Probe at a load."""
    flow.at(per_second)
    await asyncio.sleep(plan.settle_seconds)
    before, mark = await worker.taken(), flow.mark()
    view = await delay_of(prober, TO_VIEW, plan.probes)
    postgres = await delay_of(prober, TO_POSTGRES, plan.probes)
    published_per_second = flow.per_second_since(mark)
    taken, past_s = await worker.taken() - before, flow.mark().at_s - mark.at_s
    carried = min(taken / past_s, published_per_second)
    return AtLoad(per_second, carried, view, postgres)
