"""Freshness: how long after its publication an event is in a campaign's answer, and in Postgres.

Probes are published one at a time while a load flows, or nothing; a dashboard asks for their campaign again
and again until it shows the probe.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from tally.streams.settings import variable
from tests.bench.freshness_probes import Probing
from tests.bench.processes import contender
from tests.bench.reads_stage import counted, own_database, process
from tests.bench.reads_turns import percentile
from tests.faults.readings import read
from tests.support.judge import prepare
from tests.support.workers import WorkerProcess, environment_of

ALL_ROLES = "route,fold,flush,view"
MARGIN_SECONDS = 20.0


class Plan(Struct, frozen=True):
    """How many probes, and how long the load flows before them: a broker that has just started is slow."""

    in_view: int = 300
    view_seconds: float = 60.0
    in_postgres: int = 60
    postgres_seconds: float = 90.0
    """No probe begins later, since the load ends."""
    warm_up_seconds: float = 30.0

    @property
    def seconds(self) -> float:
        """How long a load has to flow."""
        return self.warm_up_seconds + self.view_seconds + self.postgres_seconds + MARGIN_SECONDS


class Delay(Struct, frozen=True):
    """From the broker's acknowledgement of a probe until somebody sees it."""

    p50_ms: float
    p99_ms: float
    probes: int


class Freshness(Struct, frozen=True):
    """Delays while nothing else flows, and while a load does."""

    idle_view: Delay
    asked_per_second: float
    per_second: float
    """Raw events that the worker took while it was probed."""
    view: Delay
    postgres: Delay


def delay(seconds: Sequence[float]) -> Delay:
    """Return median and 99th percentile by nearest rank."""
    p50, p99 = (percentile(seconds, share) * 1000 for share in (0.5, 0.99))
    return Delay(p50, p99, len(seconds))


async def measure_freshness(
    bootstrap: str, dsn: str, folder: Path, per_second: float, plan: Plan | None = None
) -> Freshness:
    """Measure one worker with all roles under a steady load, and then while nothing else flows."""
    plan = plan or Plan()
    async with own_database(dsn) as database:
        environment = environment_of(bootstrap, database, "fresh-", partitions="8")
        await prepare(environment)
        async with (
            process(environment, folder, "fresh", ALL_ROLES, "state") as worker,
            Probing(worker) as probing,
        ):
            async with _flowing(bootstrap, environment, folder, per_second, plan.seconds):
                await asyncio.sleep(plan.warm_up_seconds)
                before, began_s = await _taken(worker), time.monotonic()
                view = await _probed(probing.seen_in_view, plan.in_view, plan.view_seconds)
                postgres = await _probed(probing.seen_in_postgres, plan.in_postgres, plan.postgres_seconds)
                taken, past_s = await _taken(worker) - before, time.monotonic() - began_s
            await counted(worker)
            idle = await _probed(probing.seen_in_view, plan.in_view, plan.view_seconds)
    return Freshness(delay(idle), per_second, taken / past_s, delay(view), delay(postgres))


async def _probed(probe: Callable[[], Awaitable[float]], count: int, seconds: float) -> list[float]:
    """Probe so many times, or for so long."""
    began_s, found = time.monotonic(), [await probe()]
    while len(found) < count and time.monotonic() - began_s < seconds:
        found.append(await probe())
    return found


async def _taken(worker: WorkerProcess) -> float:
    return (await read(worker)).value("tally_events_total")


@asynccontextmanager
async def _flowing(
    bootstrap: str, environment: dict[str, str], folder: Path, per_second: float, seconds: float
) -> AsyncIterator[None]:
    """Let a load flow for as long as the probes take. Raises AssertionError: it ended before them."""
    told = {
        "BENCH_BOOTSTRAP": bootstrap,
        "BENCH_PREFIX": environment[variable("topic_prefix")],
        "BENCH_PARTITIONS": environment[variable("partitions")],
        "BENCH_PER_SECOND": str(per_second),
        "BENCH_SECONDS": str(seconds),
    }
    with contender("tests.bench.steady", told, folder / "steady.log") as producer:
        assert producer.stdout is not None
        await asyncio.to_thread(producer.stdout.readline)
        yield
        assert producer.poll() is None, "the load ended before the probes"
