"""Striking workers of a pair at named points, in turn, and timing what becomes of it."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from tally.streams.demo.answers import Answers
from tally.streams.simulator.records import RawRecord
from tests.faults.flow import flowing
from tests.faults.hooked_worker import HookedWorker
from tests.faults.oracle import Sender
from tests.faults.stack import Stack, until

FIRED_SECONDS = 30.0
LOST_SECONDS = 60.0
"""Longer than any pass figure: what takes longer has not come back at all."""


class Blow(Struct, frozen=True):
    """One fault at one point of one worker, and how long what followed took from the moment it struck."""

    point: str
    exit_seconds: float
    counted_seconds: float
    """Until somebody answers live numbers that hold everything from before the blow."""


@asynccontextmanager
async def loaded(sender: Sender, records: Sequence[RawRecord], per_second: float) -> AsyncIterator[None]:
    """Send records at a steady rate while the block runs, and all that is left of them after it.

    Raises AssertionError where nothing was left.
    """
    async with flowing(sender, records, per_second):
        yield
    await sender.send(records[len(sender.sent) :])


async def strike(whole: Stack, point: str, what: str, code: int, victim: HookedWorker) -> Blow:
    """Let a worker meet its fault at a point, and wait until it has ended with a code and others count on.

    Raises AssertionError where it does not happen so.
    """
    seen = len(whole.exits)
    victim.arm(point, what)
    if point == "open.fenced":
        # Passed only where a partition opens: the next life of this worker is the one that is struck.
        victim.kill()
        await until(lambda: len(whole.exits) > seen, FIRED_SECONDS, "killed, and started again")
        seen += 1
    await until(lambda: victim.has_fired(point), FIRED_SECONDS, f"{victim.name} passes {point}")
    struck_at_s = time.time()
    ended = (victim.name, code)
    exit_s = await until(lambda: ended in whole.exits[seen:], LOST_SECONDS, f"{ended} after {point}")
    other = next(worker for worker in whole.workers if worker is not victim)
    async with Answers(other.url) as answers:
        await answers.wait_until_counted(struck_at_s * 1000, LOST_SECONDS)
    return Blow(point, exit_s, time.time() - struck_at_s)


async def strike_each(whole: Stack, points: Sequence[str], what: str, code: int) -> list[Blow]:
    """Strike at one point after another, at the workers of a pair in turn, each while both are ready."""
    blows = []
    for number, point in enumerate(points):
        for worker in whole.workers:
            await whole.ready(worker)
        blows.append(await strike(whole, point, what, code, whole.workers[number % len(whole.workers)]))
    return blows


def slowest(blows: Sequence[Blow], seconds: str) -> tuple[float, str]:
    """Return the longest of one of the times, and at which point it was."""
    return max((getattr(blow, seconds), blow.point) for blow in blows)
