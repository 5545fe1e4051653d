"""Measures restarts: on the disk of an orderly stop, and on an empty one."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from datetime import datetime

import aiohttp
from msgspec import Struct

from bench.processes import rss_bytes
from bench.stage import pid_of
from tests.faults.scrapes import Scrape, read
from tests.support.workers import WorkerProcess

PROGRESS_SECONDS = 60.0
RECOVERED_SECONDS = 600.0
POLL_SECONDS = 0.05
OPENED = "partition opened"


class Restart(Struct, frozen=True):
    """Seconds from the start of the process to each step of its restart."""

    answering_s: float
    """Until it answers HTTP: imports and clients are ready, and it joins its groups."""
    joined_s: float
    """Until both groups have assigned it partitions."""
    progress_s: float
    """Until it has counted a fact."""

    @property
    def without_join_s(self) -> float:
        """Seconds to progress, without the time between answering and having joined."""
        return self.progress_s - max(self.joined_s - self.answering_s, 0.0)


class Recovery(Struct, frozen=True):
    """The rebuilding of all partitions of one worker from their changelogs."""

    records: int
    """Changelog records; a state has one for each write that Kafka has not compacted away."""
    states: int
    seconds: float
    """From the beginning of the first opening to the end of the last one."""
    rss_bytes: int
    """Resident memory of the worker when all partitions were open."""

    @property
    def per_second(self) -> float:
        """States rebuilt per second."""
        return self.states / self.seconds


async def restarted(worker: WorkerProcess) -> Restart:
    """Start a worker for which an event waits; return the seconds to each step."""
    began = time.monotonic()
    worker.start()

    async def seconds_until(what: Callable[[Scrape], bool]) -> float:
        while not await _says(worker, what):
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - began

    async with asyncio.timeout(PROGRESS_SECONDS):
        answering_s = await seconds_until(lambda _: True)
        joined_s = await seconds_until(_has_joined)
        return Restart(
            answering_s, joined_s, await seconds_until(lambda found: found.value("tally_facts_total") > 0)
        )


async def recovered(worker: WorkerProcess, states: int) -> Recovery:
    """Delete a worker's state folder and start it; return the figures that its log has of the openings."""
    shutil.rmtree(worker.state)
    told_before = worker.log.stat().st_size
    worker.start()
    async with asyncio.timeout(RECOVERED_SECONDS):
        while len(opened := _openings(worker, told_before)) < worker.settings.partitions:
            assert worker.is_running, worker.log.read_text()[-2000:]
            await asyncio.sleep(POLL_SECONDS)
    begin = min(at_s - float(line["seconds"]) for at_s, line in opened)
    end = max(at_s for at_s, _ in opened)
    records = sum(int(line["recovered_records"]) for _, line in opened)
    return Recovery(records, states, end - begin, rss_bytes(pid_of(worker)))


async def _says(worker: WorkerProcess, what: Callable[[Scrape], bool]) -> bool:
    assert worker.is_running, worker.log.read_text()[-2000:]
    try:
        return what(await read(worker))
    except (aiohttp.ClientError, TimeoutError):
        return False


def _has_joined(found: Scrape) -> bool:
    return all(found.value("tally_rebalances_total", role=role) > 0 for role in ("route", "fold"))


def _openings(worker: WorkerProcess, told_before: int) -> list[tuple[float, dict[str, str]]]:
    """Return the openings logged since the position `told_before`, with their times."""
    with worker.log.open("rb") as log:
        log.seek(told_before)
        # The last line may be half written.
        lines = [json.loads(line) for line in log.read().split(b"\n")[:-1] if line.startswith(b"{")]
    return [
        (datetime.fromisoformat(line["timestamp"]).timestamp(), line)
        for line in lines
        if line.get("event") == OPENED
    ]
