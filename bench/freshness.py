"""Freshness: the delay from the publication of an event to a campaign's answer, and to Postgres.

Probes are published one at a time, with and without a load, and the answer of their campaign is polled until
it has the probe. A probe takes about a second to reach Postgres, so several campaigns probe at the same time:
with only 60 probes the 99th percentile would be the slowest one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from msgspec import Struct

from bench.figures import percentile
from bench.freshness_probes import Probing
from bench.load import Size, load
from bench.servers import Servers
from bench.stage import COUNTED_SECONDS, own_database, process
from bench.steady_load import SteadyLoad
from tests.faults.scrapes import read
from tests.support.judge import counted, prepare
from tests.support.workers import WorkerProcess

ALL_ROLES = "route,fold,flush,view"
MARGIN_SECONDS = 20.0
EVENTS_PER_MESSAGE = 3.8


class Plan(Struct, frozen=True):
    """Number of probes, rate of the load, and warm-up: a broker that has just started is slow."""

    events_per_second: float = 1_000.0
    in_view: int = 300
    view_seconds: float = 60.0
    in_postgres: int = 180
    at_once_in_postgres: int = 3
    postgres_seconds: float = 90.0
    """No probe begins later: the load ends."""
    warm_up_seconds: float = 30.0
    seed: int = 7

    @property
    def size(self) -> Size:
        """The size of a load that lasts as long as the probes."""
        seconds = self.warm_up_seconds + self.view_seconds + self.postgres_seconds + MARGIN_SECONDS
        return Size(round(self.events_per_second * seconds / EVENTS_PER_MESSAGE))


class Delay(Struct, frozen=True):
    """The delay from the broker's acknowledgement of a probe until a poll sees it."""

    p50_ms: float
    p99_ms: float
    probes: int


class Freshness(Struct, frozen=True):
    """Delays without and with a load."""

    idle_view: Delay
    wanted_per_second: float
    events_per_second: float
    """Raw events per second that the worker routed while it was probed."""
    view: Delay
    postgres: Delay


def delay(seconds: Sequence[float]) -> Delay:
    """Return median and 99th percentile by nearest rank."""
    p50, p99 = (percentile(seconds, share) * 1000 for share in (0.5, 0.99))
    return Delay(p50, p99, len(seconds))


async def measure_freshness(there: Servers, plan: Plan) -> Freshness:
    """Measure one worker with all roles under a steady load, and then without one."""
    make = partial(load, plan.size, plan.seed)
    async with own_database(there.environment("fresh-")) as environment:
        await prepare(environment)
        async with (
            process(environment, there.folder, "fresh", ALL_ROLES, "state") as worker,
            _probers(worker, plan.at_once_in_postgres) as probers,
        ):
            in_view = probers[0].seen_in_view
            async with SteadyLoad(environment, make, plan.events_per_second) as flow:
                await asyncio.sleep(plan.warm_up_seconds)
                before, began_s = await _taken(worker), time.monotonic()
                view = await _probed(in_view, plan.in_view, plan.view_seconds)
                postgres = await _in_postgres(probers, plan)
                taken, past_s = await _taken(worker) - before, time.monotonic() - began_s
                flow.check()
            await counted(worker, COUNTED_SECONDS)
            idle = await _probed(in_view, plan.in_view, plan.view_seconds)
    return Freshness(delay(idle), plan.events_per_second, taken / past_s, delay(view), delay(postgres))


@asynccontextmanager
async def _probers(worker: WorkerProcess, count: int) -> AsyncIterator[list[Probing]]:
    async with AsyncExitStack() as entered:
        yield [await entered.enter_async_context(Probing(worker, nth)) for nth in range(count)]


async def _in_postgres(probers: Sequence[Probing], plan: Plan) -> list[float]:
    count = plan.in_postgres // len(probers)
    found = (_probed(one.seen_in_postgres, count, plan.postgres_seconds) for one in probers)
    return [seconds for each in await asyncio.gather(*found) for seconds in each]


async def _probed(probe: Callable[[], Awaitable[float]], count: int, seconds: float) -> list[float]:
    """Probe until `count` probes or `seconds` are reached; return the delays in seconds."""
    began_s, found = time.monotonic(), [await probe()]
    while len(found) < count and time.monotonic() - began_s < seconds:
        found.append(await probe())
    return found


async def _taken(worker: WorkerProcess) -> float:
    return (await read(worker)).value("tally_events_total")
