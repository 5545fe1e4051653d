"""Throughput: Tally and its peers on the same raw topics, round after round."""

import asyncio
import sys
from pathlib import Path

from msgspec import Struct

from bench.load import Size, load
from bench.oracle import peer_rows, recounted_apart, wrong
from bench.peer_round import peer_round
from bench.raw_topics import fill
from bench.servers import Servers, own_database
from bench.tally_round import Round, tally_round
from bench.throughput_figures import FAUST, QUIX, QUIX_TWICE, TALLY, Measured, Plan, Throughput
from bench.worker import TWO, Worker
from tally.deploy import migrate
from tally.oracle.judgement import Table
from tally.streams.operations import deployment
from tally.streams.settings import variable
from tests.support.workers import settings_of


class Topics(Struct, frozen=True):
    """Filled raw topics, and the right rows for them."""

    environment: dict[str, str]
    prefix: str
    events: int
    right: Table


class Bench:
    """Runs rounds of each contender, each in a new folder."""

    def __init__(self, there: Servers, plan: Plan) -> None:
        self._there = there
        self._plan = plan
        self._serial = 0

    def _fresh(self, what: str) -> Path:
        """Return a new folder."""
        self._serial += 1
        made = self._there.folder / f"{what}-{self._serial}"
        made.mkdir(parents=True)
        return made

    async def filled(self, prefix: str, messages: int) -> Topics:
        """Fill raw topics, and recount them."""
        environment = self._there.environment(prefix)
        records = load(Size(messages), self._plan.seed)
        await fill(settings_of(environment), records)
        return Topics(environment, prefix, len(records), await recounted_apart(environment))

    async def tally(self, topics: Topics) -> Round:
        """Run a round of Tally as a new generation. Raises AssertionError where a number is wrong."""
        folder = self._fresh("tally")
        async with own_database(topics.environment) as own:
            await asyncio.to_thread(migrate.up, own[variable("postgres_dsn")])
            # The brokers remember the database of the former round.
            await deployment.adopt(settings_of(own))
            worker = Worker({**own, variable("generation"): str(self._serial)}, folder, "tally", TWO)
            try:
                round_ = await tally_round(worker, topics.events, peer_rows(topics.right))
                found = await wrong(worker, topics.right)
                assert not found, found[:5]
            finally:
                worker.kill()
        return round_

    async def peer(self, topics: Topics, module: str, processes: int = 1) -> Round:
        """Run a round of a peer. Raises PeerFailed where it does not reach the right rows."""
        folder = self._fresh("peer")
        told = {
            "BENCH_BOOTSTRAP": self._there.bootstrap,
            "BENCH_PREFIX": topics.prefix,
            "BENCH_NAME": f"peer-{self._serial}",
            "BENCH_PARTITIONS": topics.environment[variable("partitions")],
        }
        right = peer_rows(topics.right)
        return await peer_round(f"bench.peers.{module}", told, folder, self._plan.peers, right, processes)


async def measure_throughput(there: Servers, plan: Plan) -> Throughput:
    """Measure all contenders in turn, so a drift of the machine affects all of them."""
    bench = Bench(there, plan)
    fast = await bench.filled("fast-", plan.messages)
    slow = await bench.filled("slow-", plan.slow_messages)
    found = {name: Measured(fast.events, []) for name in (TALLY, QUIX, QUIX_TWICE)}
    found[FAUST] = Measured(slow.events, [])
    for nth in range(plan.rounds):
        found[TALLY].rounds.append(await bench.tally(fast))
        found[QUIX].rounds.append(await bench.peer(fast, "quix"))
        found[QUIX_TWICE].rounds.append(await bench.peer(fast, "quix", processes=2))
        found[FAUST].rounds.append(await bench.peer(slow, "faust_plain"))
        rates = ", ".join(f"{name} {one.per_second[-1]:,.0f}" for name, one in found.items())
        sys.stderr.write(f"round {nth + 1} of {plan.rounds}, events/s: {rates}\n")
    return Throughput(found)
