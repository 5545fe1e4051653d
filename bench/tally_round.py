"""One round of Tally: workers of a new generation count all raw topics, into view and Postgres."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import asyncpg
from msgspec import Struct

from bench.oracle import PEER_COUNTERS, PeerRows
from bench.processes import cpu_seconds
from bench.stage import pid_of
from tally.oracle.api import Answers
from tests.faults.scrapes import read
from tests.support.workers import WorkerProcess

STARTED_SECONDS = 60.0
COUNTED_SECONDS = 600.0
FIRST_POLL_SECONDS = 0.02
NEAR_SECONDS = 0.25
"""The expected time to the end at which polling changes from metrics to receipts, which cost little."""
END_POLL_SECONDS = 0.05
FAR_SECONDS = 2.0
"""The longest pause: a worker that has just begun gets faster than the estimate."""
ALL_ROLES = ("route,fold,flush,view",)
SUMS = ", ".join(f"sum({counter})" for counter in PEER_COUNTERS)
HELD = f"SELECT {SUMS} FROM tally.campaign_template_stats"  # noqa: S608 - our own counters


class Round(Struct, frozen=True):
    """The time and CPU of one contender for all events."""

    seconds: float
    cpu_seconds: Mapping[str, float]
    """By process."""


async def tally_round(
    environment: Mapping[str, str],
    folder: Path,
    events: int,
    right: PeerRows,
    roles: Sequence[str] = ALL_ROLES,
) -> tuple[Round, list[WorkerProcess]]:
    """Start workers, one for each set of roles, and wait until view and Postgres hold everything.

    The clock runs from the first raw event that is routed. The workers keep running; the caller kills them.
    """
    with ExitStack() as closing:
        workers = [
            WorkerProcess(dict(environment), folder, f"{roles_of.replace(',', '-')}", roles=roles_of)
            for roles_of in roles
        ]
        for worker in workers:
            closing.callback(worker.kill)
            worker.start()
        first_s = await _first_taken(workers)
        used = {worker.name: _cpu(worker) for worker in workers}
        done_s = await _all_done(workers, events, right, first_s)
        spent = {worker.name: _cpu(worker) - used[worker.name] for worker in workers}
        closing.pop_all()
    return Round(done_s - first_s, spent), workers


def _cpu(worker: WorkerProcess) -> float:
    return cpu_seconds(pid_of(worker))


async def _first_taken(workers: Sequence[WorkerProcess]) -> float:
    """Return the last moment at which no event was routed."""
    none_at_s = time.time()
    async with asyncio.timeout(STARTED_SECONDS):
        while await _taken(workers) == 0:
            none_at_s = time.time()
            await asyncio.sleep(FIRST_POLL_SECONDS)
    return none_at_s


async def _taken(workers: Sequence[WorkerProcess]) -> float:
    taken = 0.0
    for worker in workers:
        try:
            taken += (await read(worker)).value("tally_events_total")
        except (aiohttp.ClientError, TimeoutError):
            continue
    return taken


async def _all_done(workers: Sequence[WorkerProcess], events: int, right: PeerRows, first_s: float) -> float:
    """Wait until every raw event is counted and flushed to Postgres."""
    viewing = next(worker for worker in workers if "view" in worker.settings.roles)
    began_ms = time.time() * 1000
    async with asyncio.timeout(COUNTED_SECONDS), Answers(viewing.url) as answers:
        await _nearly_all_taken(workers, events, first_s)
        while await answers.reached_ms() <= began_ms:
            await asyncio.sleep(END_POLL_SECONDS)
        await _until_flushed(viewing, right)
    done_s = time.time()
    assert await _taken(workers) >= events
    return done_s


async def _until_flushed(worker: WorkerProcess, right: PeerRows) -> None:
    """Wait until Postgres holds the right sums; single rows are compared after the measurement."""
    expected = tuple(map(sum, zip(*right.values(), strict=True)))
    connection = await asyncpg.connect(worker.settings.postgres_dsn.get_secret_value())
    try:
        while tuple(await connection.fetchrow(HELD) or ()) != expected:
            await asyncio.sleep(END_POLL_SECONDS)
    finally:
        await connection.close()


async def _nearly_all_taken(workers: Sequence[WorkerProcess], events: int, first_s: float) -> None:
    """Poll at shrinking intervals: metrics cost a worker as much as a hundred events, a receipt as five."""
    while (left_s := expected_seconds(await _taken(workers), events, time.time() - first_s)) > NEAR_SECONDS:
        await asyncio.sleep(min(left_s / 2, FAR_SECONDS))


def expected_seconds(taken: float, events: int, past_s: float) -> float:
    """Return the expected seconds for the rest, at the rate so far."""
    return past_s * max(events - taken, 0.0) / max(taken, 1.0)
