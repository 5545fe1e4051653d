"""Answers: how long a campaign's answer takes beside a load, with the view in a process of its own.

Reader, publisher, worker and servers are separate processes with the same priority on the machine's cores.
"""

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct

from bench.answers_client import KeptConnection
from bench.figures import percentile
from bench.load import Size
from bench.plain_count import check_plainly
from bench.servers import Servers, own_database
from bench.steady_load import CARRIED, SteadyLoad, WarmUp
from bench.worker import THREE, Worker, running
from tests.support.judge import counted, prepare
from tests.support.keys import PRESENTED

CAMPAIGN = "/v1/tenants/tenant-0/campaigns/campaign-0"
"""One of the campaigns that the load changes."""
OK = 200
COUNTED_SECONDS = 300.0


class Plan(Struct, frozen=True):
    """Load and pace."""

    events_per_second: float = 10_000.0
    asked_per_second: float = 50.0
    asking_seconds: float = 40.0
    warm_up: WarmUp = WarmUp()
    settle_seconds: float = 6.0
    seed: int = 3

    @property
    def size(self) -> Size:
        """The size of a load that lasts as long as the questions."""
        asked_s = self.settle_seconds + self.asking_seconds + 8.0
        return Size.of_events(self.warm_up.events + self.events_per_second * asked_s)


class Latency(Struct, frozen=True):
    """The latency of answers as a client sees it."""

    answers: int
    changed: int
    """How many of them had other numbers than the one before."""
    p50_ms: float
    p99_ms: float
    worst_ms: float


class Answered(Struct, frozen=True):
    """Answers beside a load."""

    wanted_per_second: float
    carried_per_second: float
    asked_per_second: float
    latency: Latency

    @property
    def is_carried(self) -> bool:
        """Whether it is a figure of the load that was wanted."""
        return self.carried_per_second >= CARRIED * self.wanted_per_second


async def measure_answers(there: Servers, plan: Plan) -> Answered:
    """Ask for a campaign that moves. Raises AssertionError where an answer is wrong at the end."""
    async with own_database(there.environment("answers-")) as environment:
        await prepare(environment)
        worker = Worker(environment, there.folder, "answers", THREE)
        async with running(worker), SteadyLoad(environment, plan.size, plan.seed) as flow:
            await plan.warm_up.run(flow)
            flow.at(plan.events_per_second)
            await asyncio.sleep(plan.settle_seconds)
            before, mark = await worker.taken(), flow.mark()
            latency = await asked(worker.url, plan)
            published_per_second = flow.per_second_since(mark)
            taken, past_s = await worker.taken() - before, flow.mark().at_s - mark.at_s
            await flow.ended()
            await counted(worker, COUNTED_SECONDS)
            await check_plainly(worker, await flow.right())
    carried = min(published_per_second, taken / past_s)
    return Answered(plan.events_per_second, carried, plan.asked_per_second, latency)


async def asked(url: str, plan: Plan) -> Latency:
    """Ask at a steady pace; a latency begins with its request, so a slow one does not add to the next."""
    took_s: list[float] = []
    changed, known = 0, b""
    began_s = time.monotonic()
    with KeptConnection(url, CAMPAIGN, PRESENTED.text) as connection:
        for nth in range(round(plan.asking_seconds * plan.asked_per_second)):
            await asyncio.sleep(max(0.0, began_s + nth / plan.asked_per_second - time.monotonic()))
            if time.monotonic() > began_s + plan.asking_seconds:
                break
            asked_s = time.perf_counter()
            answer = connection.get()
            took_s.append(time.perf_counter() - asked_s)
            assert answer.status == OK, answer
            changed, known = changed + (answer.tag != known), answer.tag
    return latency_of(took_s, changed)


def latency_of(took_s: Sequence[float], changed: int) -> Latency:
    """Return the figures of answers."""
    p50, p99, worst = (1000 * percentile(took_s, share) for share in (0.5, 0.99, 1.0))
    return Latency(len(took_s), changed, p50, p99, worst)
