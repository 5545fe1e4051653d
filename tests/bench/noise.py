"""Noise: what events that count nothing cost a whole worker, beside events that count."""

import asyncio
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from random import Random

from msgspec import Struct

from tally.deploy import migrate
from tally.streams import topics
from tally.streams.settings import variable
from tally.streams.simulator.records import RawRecord
from tests.bench.noise_drain import Drained, drained
from tests.bench.noise_events import Events, packets, webhooks
from tests.bench.oracle import check
from tests.bench.reads_stage import own_database
from tests.bench.servers import servers
from tests.support.judge import publish
from tests.support.workers import WorkerProcess, settings_of, until_exit

STOP_SECONDS = 30.0


class Plan(Struct, frozen=True):
    """How much is measured."""

    counted: int = 60_000
    noise: int = 200_000
    seed: int = 1


class Beside(Struct, frozen=True):
    """Events of one kind: those that count, and those that do not."""

    counted: Drained
    noise: Drained

    @property
    def times_cheaper(self) -> float:
        """How many events that count nothing are dropped for the CPU of one that counts."""
        return self.counted.cpu_us / self.noise.cpu_us


class Noise(Struct, frozen=True):
    """All figures."""

    ami: Beside
    webhooks: Beside


async def measure_noise(environment: Mapping[str, str], folder: Path, plan: Plan | None = None) -> Noise:
    """Measure on a running Kafka and Postgres; topics and databases are made for it."""
    plan = plan or Plan()
    rng = Random(plan.seed)
    return Noise(
        await _beside(environment, folder, "ami", packets(rng, plan.counted, plan.noise)),
        await _beside(environment, folder, "webhooks", webhooks(rng, plan.counted, plan.noise)),
    )


async def _beside(environment: Mapping[str, str], folder: Path, kind: str, events: Events) -> Beside:
    counted = await _drained(environment, folder, f"{kind}-counted", (events.before, events.counted))
    noise = await _drained(environment, folder, f"{kind}-noise", (events.noise,), is_noise=True)
    return Beside(counted, noise)


async def _drained(
    environment: Mapping[str, str],
    folder: Path,
    name: str,
    turns: tuple[list[RawRecord], ...],
    *,
    is_noise: bool = False,
) -> Drained:
    """Drain turn after turn by a worker that is started anew for each; return what the last one took."""
    async with own_database(environment[variable("postgres_dsn")]) as database:
        await asyncio.to_thread(migrate.up, database)
        own = {
            **environment,
            variable("postgres_dsn"): database,
            variable("topic_prefix"): f"{environment[variable('topic_prefix')]}{name}-",
        }
        await topics.declare(settings_of(own))
        worker = WorkerProcess(own, folder, name)
        try:
            for records in filter(None, turns):
                await publish(own, records, inf)
                found = await drained(worker, len(records), is_noise=is_noise)
                await check(worker)
                worker.signal(signal.SIGTERM)
                assert await until_exit(worker, STOP_SECONDS) == 0
        finally:
            worker.kill()
    return found


def told(noise: Noise) -> Iterator[str]:
    """Yield the lines of a report."""
    for kind, beside in (("AMI packets", noise.ami), ("webhooks", noise.webhooks)):
        for what, one in (("that count", beside.counted), ("that count nothing", beside.noise)):
            yield (
                f"{kind} {what}: {one.events} events, {one.cpu_us:.1f} us CPU an event, "
                f"{one.events_per_second:,.0f} events/s"
            )
        yield f"{kind}: noise is dropped {beside.times_cheaper:.1f} times as fast"


async def _by_hand(plan: Plan) -> None:
    with servers() as there:
        noise = await measure_noise(there.environment("n-"), there.folder, plan)
    sys.stdout.write("\n".join(told(noise)) + "\n")


if __name__ == "__main__":
    arguments = ArgumentParser(description="measure noise on embedded servers")
    arguments.add_argument("--counted", type=int, default=Plan().counted)
    arguments.add_argument("--noise", type=int, default=Plan().noise)
    given = arguments.parse_args()
    asyncio.run(_by_hand(Plan(given.counted, given.noise)))
