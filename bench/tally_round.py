"""One round of Tally: a worker of a new generation counts all raw topics, into view and Postgres."""

import asyncio
import time
from collections.abc import Mapping

import asyncpg
from msgspec import Struct

from bench.oracle import PEER_COUNTERS, PeerRows
from bench.worker import Worker
from tests.support.keys import answers_of

STARTED_SECONDS = 60.0
COUNTED_SECONDS = 600.0
FIRST_POLL_SECONDS = 0.02
NEAR_SECONDS = 0.25
"""The expected time to the end at which polling changes from metrics to receipts, which cost little."""
END_POLL_SECONDS = 0.05
FAR_SECONDS = 2.0
"""The longest pause: a worker that has just begun gets faster than the estimate."""
SUMS = ", ".join(f"sum({counter})" for counter in PEER_COUNTERS)
HELD = f"SELECT {SUMS} FROM tally.campaign_template_stats"  # noqa: S608 - our own counters


class Round(Struct, frozen=True):
    """The time and CPU of one contender for all events."""

    seconds: float
    cpu_seconds: Mapping[str, float]
    """By process."""


async def tally_round(worker: Worker, events: int, right: PeerRows) -> Round:
    """Start a worker, and wait until view and Postgres hold everything. It keeps running: the caller ends it.

    The clock runs from the first raw event that is routed.
    """
    worker.start()
    first_s = await _first_taken(worker)
    used = worker.cpu_seconds()
    done_s = await _all_done(worker, events, right, first_s)
    spent = {name: seconds - used[name] for name, seconds in worker.cpu_seconds().items()}
    return Round(done_s - first_s, spent)


async def _first_taken(worker: Worker) -> float:
    """Return the last moment at which no event was routed."""
    none_at_s = time.time()
    async with asyncio.timeout(STARTED_SECONDS):
        while await worker.taken() == 0:
            none_at_s = time.time()
            await asyncio.sleep(FIRST_POLL_SECONDS)
    return none_at_s


async def _all_done(worker: Worker, events: int, right: PeerRows, first_s: float) -> float:
    """Wait until every raw event is counted and written to Postgres."""
    began_ms = time.time() * 1000
    async with asyncio.timeout(COUNTED_SECONDS), answers_of(worker) as answers:
        await _nearly_all_taken(worker, events, first_s)
        while await answers.reached_ms() <= began_ms:
            worker.check_running()
            await asyncio.sleep(END_POLL_SECONDS)
        await _until_written(worker, right)
    done_s = time.time()
    assert await worker.taken() >= events
    return done_s


async def _until_written(worker: Worker, right: PeerRows) -> None:
    """Wait until Postgres holds the right sums; single rows are compared after the measurement."""
    expected = tuple(map(sum, zip(*right.values(), strict=True)))
    connection = await asyncpg.connect(worker.settings.postgres_dsn.get_secret_value())
    try:
        while tuple(await connection.fetchrow(HELD) or ()) != expected:
            worker.check_running()
            await asyncio.sleep(END_POLL_SECONDS)
    finally:
        await connection.close()


async def _nearly_all_taken(worker: Worker, events: int, first_s: float) -> None:
    """Poll at shrinking intervals: metrics cost a worker as much as a hundred events, a receipt as five."""
    while (left_s := expected_seconds(await worker.taken(), events, time.time() - first_s)) > NEAR_SECONDS:
        await asyncio.sleep(min(left_s / 2, FAR_SECONDS))


def expected_seconds(taken: float, events: int, past_s: float) -> float:
    """Return the expected seconds for the rest, at the rate so far."""
    return past_s * max(events - taken, 0.0) / max(taken, 1.0)
