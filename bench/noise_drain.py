"""Measures the CPU that a whole worker needs to drain its raw topics."""

import asyncio
import time

import aiohttp
from msgspec import Struct

from bench.processes import cpu_seconds
from bench.stage import pid_of
from tally.oracle.api import Answers
from tests.faults.scrapes import read
from tests.support.workers import WorkerProcess

STARTED_SECONDS = 60.0
DRAINED_SECONDS = 300.0
FIRST_POLL_SECONDS = 0.02
POLL_SECONDS = 0.2


class Drained(Struct, frozen=True):
    """The cost of events of one kind for a worker."""

    events: int
    cpu_us: float
    """CPU microseconds of the process per event: all threads, user and system."""
    events_per_second: float


class _Moment(Struct, frozen=True):
    taken: float
    cpu_s: float
    at_s: float


async def drained(worker: WorkerProcess, events: int, *, is_noise: bool) -> Drained:
    """Start a worker on filled topics, and wait until `events` events are counted or dropped.

    CPU before the first event belongs to the start and is left out. The events at the first scrape are left
    out too, together with their CPU.
    """
    worker.start()
    async with asyncio.timeout(STARTED_SECONDS):
        first = await _until_taken(worker, 1, FIRST_POLL_SECONDS)
    async with asyncio.timeout(DRAINED_SECONDS):
        last = await _until_taken(worker, events)
        # Events that count nothing are done once route has read them; the others once they are counted.
        if not is_noise:
            last = await _until_counted(worker)
    done = last.taken - first.taken
    assert done, f"{events} events are so few that all of them were taken at once"
    return Drained(
        round(last.taken), (last.cpu_s - first.cpu_s) / done * 1e6, done / (last.at_s - first.at_s)
    )


async def _until_taken(worker: WorkerProcess, events: int, poll_seconds: float = POLL_SECONDS) -> _Moment:
    while (moment := await _moment(worker)).taken < events:
        await asyncio.sleep(poll_seconds)
    return moment


async def _until_counted(worker: WorkerProcess) -> _Moment:
    async with Answers(worker.url) as answers:
        await answers.wait_until_counted(time.time() * 1000, DRAINED_SECONDS)
    return await _moment(worker)


async def _moment(worker: WorkerProcess) -> _Moment:
    try:
        taken = (await read(worker)).value("tally_events_total")
    except (aiohttp.ClientError, TimeoutError):
        assert worker.is_running, worker.log.read_text()[-2000:]
        taken = 0.0
    return _Moment(taken, cpu_seconds(pid_of(worker)), time.monotonic())
