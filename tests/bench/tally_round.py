"""One round of Tally: a worker of its own generation counts all raw topics, into view and Postgres."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from msgspec import Struct

from tally.streams.demo.answers import Answers
from tests.bench.processes import cpu_seconds
from tests.faults.readings import read
from tests.support.workers import WorkerProcess

STARTED_SECONDS = 60.0
COUNTED_SECONDS = 600.0
FIRST_POLL_SECONDS = 0.02
POLL_SECONDS = 0.1
ALL_ROLES = ("route,fold,flush,view",)


class Round(Struct, frozen=True):
    """What one contender took for all events."""

    seconds: float
    cpu_seconds: Mapping[str, float]
    """By process, for its part of the job."""


async def tally_round(
    environment: Mapping[str, str], folder: Path, events: int, roles: Sequence[str] = ALL_ROLES
) -> tuple[Round, list[WorkerProcess]]:
    """Start workers, one for each set of roles, and wait until view and Postgres hold everything.

    The clock runs from the first raw event that is taken; the workers go on and are the caller's to kill.
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
        done_s = await _all_done(workers, events)
        spent = {worker.name: _cpu(worker) - used[worker.name] for worker in workers}
        closing.pop_all()
    return Round(done_s - first_s, spent), workers


def _cpu(worker: WorkerProcess) -> float:
    assert worker.process is not None
    return cpu_seconds(worker.process.pid)


async def _first_taken(workers: Sequence[WorkerProcess]) -> float:
    async with asyncio.timeout(STARTED_SECONDS):
        while await _taken(workers) == 0:
            await asyncio.sleep(FIRST_POLL_SECONDS)
    return time.time()


async def _taken(workers: Sequence[WorkerProcess]) -> float:
    taken = 0.0
    for worker in workers:
        try:
            taken += (await read(worker)).value("tally_events_total")
        except (aiohttp.ClientError, TimeoutError):
            continue
    return taken


async def _all_done(workers: Sequence[WorkerProcess], events: int) -> float:
    """Wait until every raw event is counted, and every row that it changed is in Postgres."""
    viewing = next(worker for worker in workers if "view" in worker.settings.roles)
    flushing = next(worker for worker in workers if "flush" in worker.settings.roles)
    async with asyncio.timeout(COUNTED_SECONDS), Answers(viewing.url) as answers:
        await answers.wait_until_counted(time.time() * 1000, COUNTED_SECONDS)
        while (await read(flushing)).value("tally_dirty_rows") > 0:
            await asyncio.sleep(POLL_SECONDS)
    done_s = time.time()
    assert await _taken(workers) >= events
    return done_s
