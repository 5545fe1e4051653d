"""Noise: the cost of events that count nothing for a whole worker, compared with events that count."""

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
    """The number of events of each kind."""

    counted: int = 60_000
    noise: int = 200_000
    seed: int = 1


class Beside(Struct, frozen=True):
    """The figures of one kind: of events that count, and of events that do not."""

    counted: Drained
    noise: Drained

    @property
    def times_cheaper(self) -> float:
        """Events that count nothing per event that counts, for the same CPU."""
        return self.counted.cpu_us / self.noise.cpu_us


class Noise(Struct, frozen=True):
    """All figures of noise."""

    ami: Beside
    webhooks: Beside


async def measure_noise(there: Servers, plan: Plan) -> Noise:
    """Measure both kinds, each on separate topics and databases."""
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
    """Drain each turn with a new process of the worker; return the figures of the last turn."""
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
