"""Striking a worker at a named point under load, and timing what becomes of it."""

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from tally.simulator.records import RawRecord
from tests.faults.flow import flowing
from tests.faults.hooked_worker import HookedWorker
from tests.faults.oracle import Sender
from tests.faults.stack import Stack, until
from tests.support.keys import answers_of

log = logging.getLogger(__name__)

FIRED_SECONDS = 30.0
LOST_SECONDS = 60.0
"""Longer than any pass figure: what takes longer has not come back at all."""


class Blow(Struct, frozen=True):
    """One fault at one point, and how long what followed took from the moment it struck."""

    point: str
    exit_seconds: float
    counted_seconds: float | None
    """Until a witness answers live numbers that hold everything from before the blow; None without one."""


@asynccontextmanager
async def loaded(sender: Sender, records: Sequence[RawRecord], per_second: float) -> AsyncIterator[None]:
    """Send records at a steady rate while the block runs, and all that is left of them after it.

    Raises AssertionError where nothing was left.
    """
    async with flowing(sender, records, per_second):
        yield
    await sender.send(records[len(sender.sent) :])


async def strike(
    whole: Stack, victim: HookedWorker, point: str, what: str, code: int, witness: HookedWorker | None = None
) -> Blow:
    """Let a worker meet its fault at a point; wait until it has ended with a code, and a witness counts on.

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
    if witness is None:
        return Blow(point, exit_s, None)
    async with answers_of(witness) as answers:
        await answers.wait_until_counted(struck_at_s * 1000, LOST_SECONDS)
    return Blow(point, exit_s, time.time() - struck_at_s)


def last_words(whole: Stack) -> list[str]:
    """Return why workers have ended as wrong, in their own words."""
    return [
        f"{worker.name}: {line}"
        for worker in whole.workers
        if worker.log.exists()
        for line in worker.log.read_text(encoding="utf-8").splitlines()
        if '"critical"' in line
    ]


def measured(what: str, figure: object) -> None:
    """Tell a figure to whoever asks pytest for logs: `--log-cli-level=INFO`."""
    log.info("measured: %s: %s", what, figure)
