"""`python -m bench.sink_cost`: what each part of what the sink writes costs Postgres, a cut.

The same cuts of the load of the benchmarks, one for each 0.8 s of 1,000 events/s and partition, are written
to a database of its own for each part that comes to the former: rows, cells, activity with its minutes, sums
of both; and all of it without the indexes that are not keys.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from msgspec import Struct

from bench.dead_tuples import PARTITIONS, WRITE_SECONDS, Counting, Flow, facts_of
from bench.processes import thread_cpu_seconds
from bench.table import table
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.streams.dev.database import with_database
from tally.tables.postgres.cell_kinds import ACTIVITY, CELLS
from tally.tables.postgres.database import Database
from tally.tables.postgres.kind import Kind
from tally.tables.postgres.progress import SinkProgress
from tally.tables.postgres.row_kind import ROWS
from tally.tables.postgres.writer import Entries, Order, Writer
from tests.support.servers import execute
from tests.support.sink_doubles import progress

RATE = 1_000
NO_SUMS = "ALTER TABLE tally.cells DISABLE TRIGGER USER; ALTER TABLE tally.activity DISABLE TRIGGER USER"
NO_KEYS = """
DROP INDEX tally.counters_campaign, tally.cells_of_operators, tally.activity_of_queues, tally.minutes_minute
"""


class Cut(Struct, frozen=True):
    """What one transaction writes."""

    partition: int
    entries: Entries


class Part(Struct, frozen=True):
    """What is written, as one line of the table."""

    name: str
    kinds: tuple[Kind, ...]
    without: str = ""
    """SQL that takes away indexes, or what adds to sums, before anything is written."""


class Cost(Struct, frozen=True):
    """What a cut takes at the median, and how much it writes to the log on average."""

    cpu_ms: float
    took_ms: float
    log_bytes: float


def cuts(seconds: float) -> list[Cut]:
    """Return what the sink would write of so many seconds of events, in order."""
    counting = [Counting() for _ in range(PARTITIONS)]
    found: list[Cut] = []
    at_once = round(RATE * WRITE_SECONDS)
    for part in Flow(RATE, seed=1, start_s=int(time.time())).parts():
        for first in range(0, len(part) - at_once + 1, at_once):
            if len(found) >= seconds / WRITE_SECONDS * PARTITIONS:
                return found
            for partition, records in facts_of(part[first : first + at_once]).items():
                found.append(Cut(partition, counting[partition].fold(records)))
    return found


PARTS = (
    Part("rows", (ROWS,)),
    Part("and cells", (ROWS, CELLS), NO_SUMS),
    Part("and activity, minutes", (ROWS, CELLS, ACTIVITY), NO_SUMS),
    Part("and sums: all of it", (ROWS, CELLS, ACTIVITY)),
    Part("all, with keys alone as indexes", (ROWS, CELLS, ACTIVITY), NO_KEYS),
)


async def cost(dsn: str, part: Part, found: Sequence[Cut]) -> Cost:
    """Write cuts to an empty database; return what one takes, of the second half of them."""
    database = await Database.open(dsn, connections=1)
    try:
        async with database.transaction() as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            if part.without:
                await connection.execute(part.without)
        return await _written(database, part, found, lambda: thread_cpu_seconds(pid))
    finally:
        await database.close()


async def _written(database: Database, part: Part, found: Sequence[Cut], cpu: Callable[[], float]) -> Cost:
    writer = Writer(database, 1, PARTITIONS, kinds={kind.name: kind for kind in part.kinds})
    await writer.read_progress([])
    names = {kind.name for kind in part.kinds}
    seen: list[SinkProgress | None] = [None] * PARTITIONS
    cpu_ms, took_ms, log_bytes = [], [], 0
    for nth, cut in enumerate(found, 1):
        entries = {key: value for key, value in cut.entries.items() if key[0] in names}
        after = progress(nth, nth)
        if nth == len(found) // 2:
            log_bytes = await _log(database)
        began_s, cpu_s = time.perf_counter(), cpu()
        await writer.write(Order(cut.partition, entries, after, seen[cut.partition]))
        took_ms.append((time.perf_counter() - began_s) * 1_000)
        cpu_ms.append((cpu() - cpu_s) * 1_000)
        seen[cut.partition] = after
    log_bytes, half = await _log(database) - log_bytes, len(found) // 2
    return Cost(median(cpu_ms[half:]), median(took_ms[half:]), log_bytes / (len(found) - half))


async def _log(database: Database) -> int:
    async with database.transaction() as connection:
        found: int = await connection.fetchval("SELECT (pg_current_wal_lsn() - '0/0')::bigint")
    return found


def shown(costs: Sequence[tuple[Part, Cost]]) -> str:
    """Return the figures as a table."""
    events = RATE * WRITE_SECONDS / PARTITIONS
    rows = [
        (
            part.name,
            f"{one.took_ms:.1f} ms",
            f"{one.cpu_ms:.1f} ms",
            f"{one.cpu_ms * 1_000 / events:.0f} us",
            f"{one.log_bytes / 1_000:.0f} kB",
        )
        for part, one in costs
    ]
    return table(("written", "a cut", "CPU of Postgres", "an event", "its log"), rows)


async def measured(dsn: str, seconds: float) -> list[tuple[Part, Cost]]:
    """Write as many seconds of events in all parts, each to a database of its own."""
    found = cuts(seconds)
    costs = []
    for nth, part in enumerate(PARTS):
        await execute(dsn, f"CREATE DATABASE cost_{nth}")
        own = with_database(dsn, f"cost_{nth}")
        await asyncio.to_thread(migrate.up, own)
        costs.append((part, await cost(own, part, found)))
    return costs


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sink_cost", description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0, help="of events")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="tally-bench-") as name:
        server = LocalPostgres.start(Path(name), port=0)
        try:
            costs = asyncio.run(measured(server.dsn, asked.seconds))
        finally:
            server.stop()
    sys.stdout.write(f"{shown(costs)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
