"""Noise: what events that count nothing cost a whole worker, beside events that count."""

from math import inf
from random import Random

from msgspec import Struct

from bench.noise_drain import Drained, drained
from bench.noise_events import Events, packets, webhooks
from bench.oracle import check
from bench.servers import Servers
from bench.stage import own_database, stopped
from tally.simulator.records import RawRecord
from tests.support.judge import prepare, publish
from tests.support.workers import WorkerProcess


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


async def measure_noise(there: Servers, plan: Plan) -> Noise:
    """Measure both kinds, each on topics and databases of their own."""
    rng = Random(plan.seed)
    return Noise(
        await _beside(there, "ami", packets(rng, plan.counted, plan.noise)),
        await _beside(there, "webhooks", webhooks(rng, plan.counted, plan.noise)),
    )


async def _beside(there: Servers, kind: str, events: Events) -> Beside:
    counted = await _drained(there, f"{kind}-counted", (events.before, events.counted))
    noise = await _drained(there, f"{kind}-noise", (events.noise,), is_noise=True)
    return Beside(counted, noise)


async def _drained(
    there: Servers, name: str, turns: tuple[list[RawRecord], ...], *, is_noise: bool = False
) -> Drained:
    """Drain turn after turn by a worker that is started anew for each; return what the last one took."""
    async with own_database(there.environment(f"{name}-")) as environment:
        await prepare(environment)
        worker = WorkerProcess(environment, there.folder, name)
        try:
            for records in filter(None, turns):
                await publish(environment, records, inf)
                found = await drained(worker, len(records), is_noise=is_noise)
                await check(worker)
                await stopped(worker)
        finally:
            worker.kill()
    return found
