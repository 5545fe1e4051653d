"""Growth: what an event costs with more campaigns, more states, and both; how an empty disk is rebuilt."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import mean

from msgspec import Struct

from bench.growth_recovery import Recovery, recovered
from bench.load import Size, load
from bench.oracle import PeerRows
from bench.plain_count import check_plainly, plain_count
from bench.raw_topics import fill
from bench.servers import Servers, own_database
from bench.tally_round import Round, tally_round
from bench.worker import TWO, Worker
from tally.deploy import migrate
from tally.streams.operations import deployment
from tally.streams.settings import Settings, variable
from tests.support.workers import settings_of

AT_ONCE = 200_000
"""Records published under one deadline."""
CAMPAIGNS_TIMES, STATES_TIMES, BOTH_TIMES = 10, 4, 10


class Plan(Struct, frozen=True):
    """The size of the first load."""

    messages: int = 40_000
    campaigns_per_tenant: int = 5
    memory_mb: int = Settings.model_fields["memory_mb"].default
    """What the local copies share, as by default; `bench.targets` bounds what all processes may have."""
    seed: int = 1

    def size(self, messages_times: int = 1, campaigns_times: int = 1) -> Size:
        """Return the size of a load with so many times as many messages and campaigns."""
        return Size(
            self.messages * messages_times, campaigns_per_tenant=self.campaigns_per_tenant * campaigns_times
        )


class Counted(Struct, frozen=True):
    """The cost of a load for a worker, from the first event to the last row in Postgres."""

    events: int
    cpu_us: float
    """CPU microseconds of all its processes per event: all threads, user and system."""
    events_per_second: float
    rss_bytes: int
    """Resident memory of all its processes once everything was counted."""


class Growth(Struct, frozen=True):
    """All figures of growth."""

    first: tuple[Counted, ...]
    """Counted before and after the others, so a drift of the machine affects all."""
    campaigns: Counted
    states: Counted
    both: Counted
    recovery: Recovery
    """Of the worker that counted the largest load."""

    def times(self, one: Counted) -> float:
        """Return the CPU per event of a load, over that of the first one."""
        return one.cpu_us / mean(first.cpu_us for first in self.first)


class Filled(Struct, frozen=True):
    """The raw topics of a load, with the number of events in them and the right rows."""

    environment: dict[str, str]
    events: int
    right: PeerRows


async def measure_growth(there: Servers, plan: Plan) -> Growth:
    """Measure each load with a worker that has counted nothing before.

    Whole loads are compared, not the beginning of one with its end: only whole loads have the same share of
    sends, which cost more than reads. The start of the worker is left out of all.
    """

    def environment(prefix: str) -> dict[str, str]:
        return {**there.environment(prefix), variable("memory_mb"): str(plan.memory_mb)}

    first = await filled(environment("first-"), plan.size(), plan.seed)
    before = await _counted(first, there.folder / "first", 1)
    more = await filled(environment("campaigns-"), plan.size(1, CAMPAIGNS_TIMES), plan.seed)
    campaigns = await _counted(more, there.folder / "campaigns")
    more = await filled(environment("states-"), plan.size(STATES_TIMES), plan.seed)
    states = await _counted(more, there.folder / "states")
    after = await _counted(first, there.folder / "again", 2)
    more = await filled(environment("both-"), plan.size(BOTH_TIMES, BOTH_TIMES), plan.seed)
    async with _own(more, there.folder / "both") as worker:
        both = await _count(worker, more)
        await worker.stopped()
        recovery = await recovered(worker)
    return Growth((before, after), campaigns, states, both, recovery)


async def filled(environment: Mapping[str, str], size: Size, seed: int) -> Filled:
    """Fill the raw topics, and count their events with the plain count."""
    records = await asyncio.to_thread(load, size, seed)
    for first in range(0, len(records), AT_ONCE):
        await fill(settings_of(dict(environment)), records[first : first + AT_ONCE])
    return Filled(dict(environment), len(records), await asyncio.to_thread(plain_count, records))


async def _counted(topics: Filled, folder: Path, generation: int = 1) -> Counted:
    async with _own(topics, folder, generation) as worker:
        return await _count(worker, topics)


@asynccontextmanager
async def _own(topics: Filled, folder: Path, generation: int = 1) -> AsyncIterator[Worker]:
    """Yield a worker with a new database: rows of one generation belong to one set of stores."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    async with own_database(topics.environment) as own:
        await asyncio.to_thread(migrate.up, own[variable("postgres_dsn")])
        # The brokers remember the database of the former worker.
        await deployment.adopt(settings_of(own))
        more = {variable("generation"): str(generation), variable("log_format"): "json"}
        worker = Worker({**own, **more}, folder, "worker", TWO)
        try:
            yield worker
        finally:
            worker.kill()


async def _count(worker: Worker, topics: Filled) -> Counted:
    """Count everything. Raises AssertionError where a number is wrong."""
    round_ = await tally_round(worker, topics.events, topics.right)
    rss = worker.rss_bytes()
    await check_plainly(worker, topics.right)
    return _cost(round_, topics.events, rss)


def _cost(round_: Round, events: int, rss: int) -> Counted:
    cpu_s = sum(round_.cpu_seconds.values())
    return Counted(events, cpu_s / events * 1e6, events / round_.seconds, rss)
