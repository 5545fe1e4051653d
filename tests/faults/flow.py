"""Events that flow for as long as something goes on, so that no fault strikes when nothing is left to do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tally.simulator.records import RawRecord
from tests.faults.oracle import Sender
from tests.support.judge import simulated

RECORDS_PER_CONTACT = 55
"""A little less than the simulator makes of each contact of all its campaigns."""
SLICES_PER_SECOND = 4
HURRIED = 5_000.0
"""Events a second when nobody waits for a fault any more."""


def enough(seed: int, seconds: float, per_second: float) -> list[RawRecord]:
    """Return simulated records that last for so long at least."""
    return simulated(seed, contacts_per_campaign=max(20, round(seconds * per_second / RECORDS_PER_CONTACT)))


@asynccontextmanager
async def flowing(
    sender: Sender, records: Sequence[RawRecord], per_second: float
) -> AsyncIterator["asyncio.Task[None]"]:
    """Send records at a steady rate until the block ends, then the others at once.

    All of them, since the recount knows whole calls only. Whoever strikes asserts that the task is not done.
    """
    hurrying = asyncio.Event()
    flow = asyncio.create_task(_flow(sender, records, per_second, hurrying))
    try:
        yield flow
    except BaseException:
        # Whatever struck may still be there: brokers that take nothing would be waited for.
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
