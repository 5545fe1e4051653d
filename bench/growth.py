"""Growth: the cost of an event, a state, a restart and a recovery with ten times as many states."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from bench.growth_counting import Counted, Filled, counted, filled
from bench.growth_disk import Disk, compacted
from bench.growth_report import Growth
from bench.growth_restart import Recovery, Restart, recovered, restarted
from bench.load import Size
from bench.servers import Servers
from bench.stage import own_database, stopped
from tally.deploy import migrate
from tally.streams.settings import variable
from tests.support.workers import WorkerProcess

TIMES = 10
"""The size of the big load, relative to the small one."""


class Plan(Struct, frozen=True):
    """The size of the small load."""

    messages: int = 36_000
    campaigns_per_tenant: int = 5
    seed: int = 1

    def size(self, times: int = 1) -> Size:
        """Return the size of a load with `times` as many messages and campaigns."""
        return Size(self.messages * times, campaigns_per_tenant=self.campaigns_per_tenant * times)


class _BigRun(Struct, frozen=True):
    counted: Counted
    disk: Disk
    stop_s: float
    restart: Restart
    recovery: Recovery


async def measure_growth(there: Servers, plan: Plan) -> Growth:
    """Measure the small load, the big one, and the small one again.

    Whole loads are compared, not the beginning of one with its end: only whole loads have the same share of
    sends, which cost more than reads. The start of the process is left out of both.
    """
    small = there.environment("small-")
    topics = await filled(small, plan.size(), plan.seed)
    before = await _small(small, there.folder, topics, 1)
    big = await _big(there.environment("big-"), there.folder, plan)
    after = await _small(small, there.folder, topics, 2)
    return Growth((before, after), big.counted, big.disk, big.stop_s, big.restart, big.recovery)


async def _small(environment: Mapping[str, str], folder: Path, topics: Filled, generation: int) -> Counted:
    async with _migrated(environment) as own:
        found, worker = await counted(own, folder / f"small-{generation}", topics, generation)
        worker.kill()
    return found


async def _big(environment: Mapping[str, str], folder: Path, plan: Plan) -> _BigRun:
    topics = await filled(environment, plan.size(TIMES), plan.seed)
    async with _migrated(environment) as own:
        found, worker = await counted(own, folder / "big", topics)
        try:
            return await _after(found, own, worker, plan.seed + 1)
        finally:
            worker.kill()


async def _after(found: Counted, environment: Mapping[str, str], worker: WorkerProcess, seed: int) -> _BigRun:
    """Stop, restart and recover the worker that has counted the big load."""
    stop_s = await stopped(worker)
    await filled(environment, Size(1), seed)
    restart = await restarted(worker)
    await stopped(worker)
    disk = await asyncio.to_thread(compacted, worker.state)
    return _BigRun(found, disk, stop_s, restart, await recovered(worker, disk.states))


@asynccontextmanager
async def _migrated(environment: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Yield the environment with a new database: rows of one generation belong to one set of stores."""
    async with own_database(environment) as own:
        await asyncio.to_thread(migrate.up, own[variable("postgres_dsn")])
        yield own
