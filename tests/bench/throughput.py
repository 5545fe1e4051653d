"""Throughput: the ceiling, Tally and its peers on the same raw topics, round after round."""

import asyncio
import json
import os
import sys
from pathlib import Path

from msgspec import Struct

from tally.deploy import migrate
from tally.streams.demo.judgement import Table
from tally.streams.settings import variable
from tests.bench.load import Size, load
from tests.bench.oracle import peer_rows, recounted_apart, wrong
from tests.bench.peer_round import peer_round
from tests.bench.processes import contender
from tests.bench.raw_topics import fill
from tests.bench.reads_stage import own_database
from tests.bench.tally_round import ALL_ROLES, Round, tally_round
from tests.bench.throughput_figures import Measured, Plan, Throughput
from tests.support.workers import environment_of, settings_of

CEILING_SECONDS = 300.0
BY_ROLE = ("route", "fold", "flush,view")
LAST_DIGITS = 1_000_000


class Stage(Struct, frozen=True):
    """Raw topics that are filled, and what is to come of them."""

    environment: dict[str, str]
    prefix: str
    events: int
    right: Table


class Bench:
    """Servers, a folder, and the Python that has the peers in it."""

    def __init__(self, bootstrap: str, dsn: str, folder: Path, peers: Path) -> None:
        self.bootstrap = bootstrap
        self.dsn = dsn
        self.folder = folder
        self.peers = peers
        self._serial = 0

    def fresh(self, what: str) -> Path:
        """Return a new folder."""
        self._serial += 1
        made = self.folder / f"{what}-{self._serial}"
        made.mkdir(parents=True)
        return made

    async def stage(self, prefix: str, plan: Plan, messages: int) -> Stage:
        """Fill raw topics, and recount them."""
        environment = environment_of(self.bootstrap, self.dsn, prefix, partitions=str(plan.partitions))
        records = load(Size(messages), plan.seed)
        await fill(settings_of(environment), records)
        return Stage(environment, prefix, len(records), await recounted_apart(environment))

    async def ceiling(self, stage: Stage) -> Round:
        """Let all be read and parsed."""
        told = {
            "BENCH_BOOTSTRAP": self.bootstrap,
            "BENCH_PREFIX": stage.prefix,
            "BENCH_EVENTS": str(stage.events),
        }
        with contender("tests.bench.ceiling", told, self.fresh("ceiling") / "log") as process:
            answer, _ = await asyncio.to_thread(process.communicate, None, CEILING_SECONDS)
        found = json.loads(answer)
        return Round(found["done_s"] - found["first_s"], {"ceiling": found["cpu_s"]})

    async def tally(self, stage: Stage, roles: tuple[str, ...] = ALL_ROLES) -> Round:
        """Let a new generation of Tally count all. Raises AssertionError where a number is wrong."""
        folder = self.fresh("tally")
        async with own_database(self.dsn) as database:
            await asyncio.to_thread(migrate.up, database)
            environment = {
                **stage.environment,
                variable("postgres_dsn"): database,
                variable("generation"): str(self._serial),
            }
            round_, workers = await tally_round(
                environment, folder, stage.events, peer_rows(stage.right), roles
            )
            try:
                viewing = next(worker for worker in workers if "view" in worker.settings.roles)
                found = await wrong(viewing.settings, viewing.url, stage.right)
                assert not found, found[:5]
            finally:
                for worker in workers:
                    worker.kill()
        return round_

    async def peer(self, stage: Stage, module: str) -> Round:
        """Let a peer count all. Raises PeerFailed where it does not come to the right rows."""
        folder = self.fresh("peer")
        told = {
            "BENCH_BOOTSTRAP": self.bootstrap,
            "BENCH_PREFIX": stage.prefix,
            "BENCH_NAME": f"peer-{self._serial}-{os.getpid() % LAST_DIGITS}",
            "BENCH_STATE": str(folder / "state"),
            "BENCH_PARTITIONS": stage.environment[variable("partitions")],
        }
        return await peer_round(
            f"tests.bench.peers.{module}", told, folder, self.peers, peer_rows(stage.right)
        )


async def measure_throughput(bench: Bench, plan: Plan) -> Throughput:
    """Measure all contenders in turn, so that whatever the machine does meets all of them."""
    fast = await bench.stage("b-", plan, plan.messages)
    slow = await bench.stage("s-", plan, plan.slow_messages)
    found = {name: Measured(fast.events, []) for name in ("ceiling", "tally", "quixstreams")}
    found["faust"] = Measured(slow.events, [])
    for nth in range(plan.rounds):
        found["ceiling"].rounds.append(await bench.ceiling(fast))
        found["tally"].rounds.append(await bench.tally(fast))
        found["quixstreams"].rounds.append(await bench.peer(fast, "quix"))
        found["faust"].rounds.append(await bench.peer(slow, "faust_plain"))
        rates = ", ".join(f"{name} {one.per_second[-1]:,.0f}" for name, one in found.items())
        sys.stderr.write(f"round {nth + 1} of {plan.rounds}, events/s: {rates}\n")
    return Throughput(found, Measured(fast.events, [await bench.tally(fast, BY_ROLE)]))
