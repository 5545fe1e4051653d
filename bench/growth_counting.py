"""Counts a load of a given size, and measures the worker's cost per event."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from bench.load import Size, load
from bench.oracle import PeerRows
from bench.plain_count import check_plainly, plain_count
from bench.processes import rss_bytes
from bench.raw_topics import fill
from bench.stage import pid_of
from bench.tally_round import Round, tally_round
from tally.streams.settings import variable
from tests.support.workers import WorkerProcess, settings_of

AT_ONCE = 200_000
"""Records published under one deadline."""


class Counted(Struct, frozen=True):
    """The cost of a load for a worker, from the first event to the last row in Postgres."""

    events: int
    cpu_us: float
    """CPU microseconds of the process per event: all threads, user and system."""
    events_per_second: float
    rss_bytes: int
    """Resident memory of the worker once everything was counted."""


class Filled(Struct, frozen=True):
    """The number of events in the raw topics, and the right rows for them."""

    events: int
    right: PeerRows


async def filled(environment: Mapping[str, str], size: Size, seed: int) -> Filled:
    """Fill the raw topics, and count their events with the plain count."""
    records = await asyncio.to_thread(load, size, seed)
    for first in range(0, len(records), AT_ONCE):
        await fill(settings_of(dict(environment)), records[first : first + AT_ONCE])
    return Filled(len(records), await asyncio.to_thread(plain_count, records))


async def counted(
    environment: Mapping[str, str], folder: Path, topics: Filled, generation: int = 1
) -> tuple[Counted, WorkerProcess]:
    """Count everything with a worker of the given generation; it keeps running, and the caller ends it.

    Raises AssertionError where a number is wrong.
    """
    own = {**environment, variable("generation"): str(generation), variable("log_format"): "json"}
    await asyncio.to_thread(folder.mkdir, parents=True)
    round_, (worker,) = await tally_round(own, folder, topics.events, topics.right)
    try:
        found = _counted(round_, worker, topics.events)
        await check_plainly(worker, topics.right)
    except BaseException:
        worker.kill()
        raise
    return found, worker


def _counted(round_: Round, worker: WorkerProcess, events: int) -> Counted:
    cpu_s = sum(round_.cpu_seconds.values())
    return Counted(events, cpu_s / events * 1e6, events / round_.seconds, rss_bytes(pid_of(worker)))
