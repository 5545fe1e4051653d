"""Measures how a worker rebuilds its local copies on an empty disk."""

import asyncio
import json
import shutil
from datetime import datetime

from msgspec import Struct

from bench.worker import Worker

RECOVERED_SECONDS = 600.0
POLL_SECONDS = 0.05
OPENED = "partition opened"


class Recovery(Struct, frozen=True):
    """The rebuilding of all partitions of one worker from their changelogs."""

    records: int
    """Changelog records; a state has one for each write that Kafka has not compacted away."""
    seconds: float
    """From the beginning of the first opening to the end of the last one."""
    rss_bytes: int
    """Resident memory of the worker when all partitions were open."""


async def recovered(worker: Worker) -> Recovery:
    """Delete a stopped worker's state folder and start it; return what its log says of the openings."""
    await asyncio.to_thread(shutil.rmtree, worker.state)
    told_before = worker.log.stat().st_size
    worker.start()
    async with asyncio.timeout(RECOVERED_SECONDS):
        while len(opened := _openings(worker, told_before)) < worker.settings.partitions:
            worker.check_running()
            await asyncio.sleep(POLL_SECONDS)
    begin = min(at_s - float(line["seconds"]) for at_s, line in opened)
    end = max(at_s for at_s, _ in opened)
    records = sum(int(line["recovered_records"]) for _, line in opened)
    return Recovery(records, end - begin, worker.rss_bytes())


def _openings(worker: Worker, told_before: int) -> list[tuple[float, dict[str, str]]]:
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
