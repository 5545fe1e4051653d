"""Reads: the API under load, with the view in a separate process and with all roles in one process.

The API is also compared, without load, with the former stored function. Reader, publisher, workers and
servers are separate processes with the same priority on the machine's cores.
"""

import asyncio
from functools import partial
from math import inf
from pathlib import Path
from random import Random

from msgspec import Struct, structs

from bench.old_function import WARM_UP_CALLS, StoredFunction
from bench.reads_answers import check_answers, path_of
from bench.reads_asks import asking, whole
from bench.reads_client import KeptConnection
from bench.reads_counts import added, campaign_counts
from bench.reads_events import BIG, CAMPAIGNS, SMALL, Events, Size, events, load_shares
from bench.reads_records import records
from bench.reads_report import ReadsReport, SideBySide, UnderLoad
from bench.reads_turns import Pace, take_turns
from bench.servers import Servers
from bench.stage import COUNTED_SECONDS, own_database, pid_of, process
from bench.steady_load import SteadyLoad
from tally.streams.settings import variable
from tests.faults.scrapes import read
from tests.support.judge import counted, prepare, publish
from tests.support.workers import WorkerProcess

STATE = "state"
"""One folder of states for both arrangements: the second one need not recover."""
SETTLE_SECONDS = 3.0
MARGIN_SECONDS = 15.0
ENDED_SECONDS = 600.0
LOAD_SHARES = (1.0, 0.75, 0.5, 0.25)
"""Shares of the wanted load to try, largest first: reader, publisher and servers need the same cores."""
BACK_TO_BACK_PER_SECOND = 10_000.0
"""The rate of calls to function and API side by side, more than either can answer. At a dashboard's pace, the
calls of the function would outlast the pauses and follow each other, and only the API would begin cold.
"""
LOAD_NTH = 10_000_000
"""Distance between the first numbers of messages and people in two loads: no number occurs twice."""


class Plan(Struct, frozen=True):
    """Rate, pace and size of the measurement."""

    events_per_second: float = 1_000.0
    pace: Pace = Pace()
    size: Size = Size()
    seed: int = 1


async def measure_reads(there: Servers, plan: Plan) -> ReadsReport:
    """Measure both arrangements and the stored function. Raises AssertionError for a wrong answer."""
    async with own_database(there.environment("reads-")) as environment:
        await prepare(environment)
        return await Reads(environment, there.folder, plan).measured()


class Reads:
    """One measurement; it remembers all events, to check every answer."""

    def __init__(self, environment: dict[str, str], folder: Path, plan: Plan) -> None:
        self._environment = environment
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
        stored = StoredFunction(self._environment[variable("postgres_dsn")])
        async with worker, view as reading, stored as function:
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
            pace = structs.replace(self._plan.pace, asked_per_second=BACK_TO_BACK_PER_SECOND)
            found = await take_turns({"function": call, "api": whole(api)}, pace)
        sends = sum(send.campaign == campaign for send in first.sends)
        return SideBySide(sends / len(first.sends), sends, found["function"].all, found["api"].all)

    async def _under_load(self, view: WorkerProcess, *, with_cpu: bool) -> UnderLoad:
        """Measure at the wanted load, or at the largest share of it that this machine carries."""
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
        make = partial(records, Random(len(self._happened)), more)
        async with SteadyLoad(self._environment, make, rate) as flow:
            await asyncio.sleep(SETTLE_SECONDS)
            with asking(view.url) as asks:
                found = await take_turns(asks, pace, pid_of(view) if with_cpu else None)
            measured_rate = flow.events_per_second()
            lag_s = (await read(view)).value("tally_lag_seconds")
            await flow.ended(ENDED_SECONDS)
        self._happened.append(more)
        await self._check(view)
        wanted = self._plan.events_per_second
        return UnderLoad(
            wanted, rate, measured_rate, lag_s, found["moving"], found["unchanged"], found["not modified"]
        )

    async def _check(self, view: WorkerProcess) -> None:
        await counted(view, COUNTED_SECONDS)
        expected = {name: added(campaign_counts(one, name) for one in self._happened) for name in CAMPAIGNS}
        await check_answers(view, expected)
