"""Keeps events flowing while a test runs, so every fault strikes while there is work."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tally.simulator.records import RawRecord
from tests.faults.oracle import Sender
from tests.support.judge import simulated

RECORDS_PER_CONTACT = 55
"""Slightly fewer records than the simulator makes for each contact over all its campaigns."""
SLICES_PER_SECOND = 4
HURRIED = 5_000.0
"""Events a second after the faults are over."""


def enough(seed: int, seconds: float, per_second: float) -> list[RawRecord]:
    """Return simulated records for at least `seconds` at the given rate."""
    return simulated(seed, contacts_per_campaign=max(20, round(seconds * per_second / RECORDS_PER_CONTACT)))


@asynccontextmanager
async def flowing(
    sender: Sender, records: Sequence[RawRecord], per_second: float
) -> AsyncIterator["asyncio.Task[None]"]:
    """Send records at a steady rate until the block ends, then the rest at once.

    All records are sent, since the recount only handles whole calls. The block must assert that the yielded
    task is not done when a fault strikes.
    """
    hurrying = asyncio.Event()
    flow = asyncio.create_task(_flow(sender, records, per_second, hurrying))
    try:
        yield flow
    except BaseException:
        # The fault may still be active: sending to brokers that accept nothing would hang.
        flow.cancel()
        raise
    hurrying.set()
    await flow


async def _flow(
    sender: Sender, records: Sequence[RawRecord], per_second: float, hurrying: asyncio.Event
) -> None:
    step = max(1, round(per_second / SLICES_PER_SECOND))
    for first in range(0, len(records), step):
        await sender.send(records[first : first + step], HURRIED if hurrying.is_set() else per_second)
