"""Reads: the API under load, in a process of its own and in one with everything, beside the stored function.

Reader, publisher, workers and servers are processes of their own, at one priority on the machine's cores.
"""

import asyncio
import sys
from argparse import ArgumentParser
from math import inf
from pathlib import Path
from random import Random
from uuid import uuid4

from msgspec import Struct

from tests.bench.old_function import WARM_UP_CALLS, StoredFunction
from tests.bench.reads_asks import asking, whole
from tests.bench.reads_client import KeptConnection
from tests.bench.reads_counts import added, campaign_counts
from tests.bench.reads_events import BIG, CAMPAIGNS, SMALL, Events, Size, events, load_shares
from tests.bench.reads_load import Load
from tests.bench.reads_records import records
from tests.bench.reads_report import ReadsReport, SideBySide, UnderLoad, told
from tests.bench.reads_stage import check_answers, counted, own_database, path_of, pid_of, process
from tests.bench.reads_turns import Pace, take_turns
from tests.bench.servers import servers
from tests.faults.readings import read
from tests.support.judge import prepare, publish
from tests.support.workers import WorkerProcess, environment_of

STATE = "state"
"""One folder of states for both arrangements, so that the second one need not recover."""
SETTLE_SECONDS = 3.0
MARGIN_SECONDS = 15.0
ENDED_SECONDS = 600.0
LOAD_SHARES = (1.0, 0.75, 0.5, 0.25)
"""What is tried of the load that is wanted: reader, publisher and servers need the same cores."""
LOAD_NTH = 10_000_000
"""Where the numbers of a load's messages and people begin, so that none has been there before."""


class Plan(Struct, frozen=True):
    """How much is measured, and how long."""

    events_per_second: float = 1_000.0
    pace: Pace = Pace()
    size: Size = Size()
    partitions: int = 8
    seed: int = 1


async def measure_reads(bootstrap: str, dsn: str, folder: Path, plan: Plan | None = None) -> ReadsReport:
    """Measure on a running Kafka and Postgres; topics and database are made for it. Raises AssertionError."""
    plan = plan or Plan()
    async with own_database(dsn) as database:
        prefix = f"reads-{uuid4().hex[:8]}-"
        environment = environment_of(bootstrap, database, prefix, partitions=str(plan.partitions))
        await prepare(environment)
        return await Reads(environment, database, folder, plan).measured()


class Reads:
    """One measurement; remembers what has happened, so that every answer can be checked."""

    def __init__(self, environment: dict[str, str], dsn: str, folder: Path, plan: Plan) -> None:
        self._environment = environment
        self._dsn = dsn
        self._folder = folder
        self._plan = plan
        self._rng = Random(plan.seed)
        self._happened: list[Events] = []

    async def measured(self) -> ReadsReport:
        """Return all figures."""
        first = events(self._rng, self._plan.size)
        self._happened.append(first)
        await publish(self._environment, records(self._rng, first), inf)
        worker = process(self._environment, self._folder, "worker", "route,fold,flush", STATE)
        view = process(self._environment, self._folder, "view", "view", "view")
        async with worker, view as reading, StoredFunction(self._dsn) as function:
            await function.fill(first)
            await self._check(reading)
            pairs = (await self._pair(function, reading, BIG), await self._pair(function, reading, SMALL))
            sizes = await function.sizes()
            own = await self._under_load(reading, with_cpu=True)
        everything = process(self._environment, self._folder, "all", "route,fold,flush,view", STATE)
        async with everything as reading:
            await self._check(reading)
            return ReadsReport(sizes, own, await self._under_load(reading, with_cpu=False), pairs)

    async def _pair(self, function: StoredFunction, view: WorkerProcess, campaign: str) -> SideBySide:
        first = self._happened[0]
        await function.prepare()
        await function.check(first, campaign)

        async def call() -> bool:
            return not await function.call(campaign)

        for _ in range(WARM_UP_CALLS):
            await call()
        with KeptConnection(view.url, path_of(campaign)) as api:
            found = await take_turns({"function": call, "api": whole(api)}, self._plan.pace)
        sends = sum(send.campaign == campaign for send in first.sends)
        return SideBySide(sends / len(first.sends), sends, found["function"].all, found["api"].all)

    async def _under_load(self, view: WorkerProcess, *, with_cpu: bool) -> UnderLoad:
        """Measure at the load that is wanted, or at the largest part of it that this machine carries."""
        for share in LOAD_SHARES:
            found = await self._at(view, self._plan.events_per_second * share, with_cpu=with_cpu)
            if found.is_carried:
                break
        return found

    async def _at(self, view: WorkerProcess, rate: float, *, with_cpu: bool) -> UnderLoad:
        pace = self._plan.pace
        seconds = pace.rounds * pace.round_seconds + SETTLE_SECONDS + MARGIN_SECONDS
        more = events(
            self._rng,
            self._plan.size.with_events(round(rate * seconds)),
            first_nth=LOAD_NTH * len(self._happened),
            shares=load_shares(),
        )
        with asking(view.url) as asks:
            async with Load(self._environment, records(self._rng, more), rate) as load:
                await asyncio.sleep(SETTLE_SECONDS)
                found = await take_turns(asks, pace, pid_of(view) if with_cpu else None)
                measured_rate = load.records_per_second()
                lag_s = (await read(view)).value("tally_lag_seconds")
                await load.ended(ENDED_SECONDS)
        self._happened.append(more)
        await self._check(view)
        wanted = self._plan.events_per_second
        return UnderLoad(
            wanted, rate, measured_rate, lag_s, found["moving"], found["unchanged"], found["not modified"]
        )

    async def _check(self, view: WorkerProcess) -> None:
        await counted(view)
        expected = {name: added(campaign_counts(one, name) for one in self._happened) for name in CAMPAIGNS}
        await check_answers(view, expected)


async def _by_hand(plan: Plan) -> None:
    with servers() as there:
        report = await measure_reads(there.bootstrap, there.dsn, there.folder, plan)
    sys.stdout.write("\n".join(told(report)) + "\n")


if __name__ == "__main__":
    arguments = ArgumentParser(description="measure the read API on embedded servers")
    arguments.add_argument("--events-per-second", type=float, default=1_000.0)
    arguments.add_argument("--rounds", type=int, default=15, help="turns of a second for each way to ask")
    given = arguments.parse_args()
    asyncio.run(_by_hand(Plan(given.events_per_second, Pace(rounds=given.rounds))))
