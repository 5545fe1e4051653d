"""`python -m bench.dead_tuples`: the share of dead tuples after an hour of 1,000 events/s, and all sizes.

The load of the benchmarks is folded in memory, and what changes goes to Postgres by the sink's writer: a
transaction a partition for every 0.8 s of events, as a sink writes. With `--faster 6` an hour's events, and
with them an hour's updates of each row, come in ten minutes; autovacuum keeps its real pauses, and has six
times as much to take away.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from bench.in_memory import Fact, Tables
from bench.load import EVENTS_PER_MESSAGE, Size, Timed, timed
from bench.table import table
from tally.agents.fold.batch import fold_batch
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.missing import NO_ROW
from tally.schemas.records import Origin
from tally.schemas.sources import READERS
from tally.schemas.tables import ACTIVITY, CELLS, CODES
from tally.schemas.topics import COUNTERS
from tally.simulator.records import RawRecord
from tally.streams.operations.dead_tuples import MOST_SHARE, SPARED
from tally.tables.kafka.facts_log import by_partition
from tally.tables.postgres.database import Database
from tally.tables.postgres.progress import SinkProgress
from tally.tables.postgres.writer import Key, Order, Writer
from tally.tables.rules import Rules
from tally.tables.store.interface import Writes
from tests.support.sink_doubles import progress

PARTITIONS = 2
WRITE_SECONDS = 0.8
"""The sink's interval."""
PART_SECONDS = 300
"""So many seconds of events are made at once; a message's last event is ten minutes after its first."""
KEPT_PARTS = 3
LOOK_SECONDS = 30.0
AFTER_SECONDS = 75.0
"""Autovacuum comes once a minute."""
STATISTICS = """
SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead, n_tup_upd AS updates, n_tup_hot_upd AS hot,
    autovacuum_count AS vacuums, pg_table_size(relid) AS heap_bytes, pg_indexes_size(relid) AS index_bytes
FROM pg_stat_user_tables
WHERE schemaname = 'tally' AND n_tup_ins > 0 AND relname NOT IN ('zones', 'schema_migrations')
ORDER BY relname
"""
KIND_OF = {CELLS: "cells", ACTIVITY: "activity"}


class Looked(Struct, frozen=True):
    """What the server's statistics say of a table."""

    name: str
    live: int
    dead: int
    updates: int
    hot: int
    vacuums: int
    heap_bytes: int
    index_bytes: int

    @property
    def share(self) -> float:
        """The share of dead tuples."""
        return self.dead / (self.live + self.dead) if self.dead else 0.0

    @property
    def holds(self) -> bool:
        """Whether it has no more dead tuples than it may have."""
        return self.share <= MOST_SHARE or self.dead <= SPARED


def together(tables: Sequence[Looked]) -> Looked:
    """Return all tables as one."""
    sums = [sum(getattr(one, name) for one in tables) for name in Looked.__struct_fields__[1:]]
    return Looked("all", *sums)


class Flow:
    """The events of an hour and longer, in order, a part of them in memory."""

    def __init__(self, events_per_second: int, seed: int, start_s: int) -> None:
        self._start_s = start_s
        self._per_second = round(events_per_second / EVENTS_PER_MESSAGE)
        self._seed = seed

    def parts(self) -> Iterator[list[RawRecord]]:
        """Yield what is published in each `PART_SECONDS`, without end."""
        later: list[Timed] = []
        messages = self._per_second * PART_SECONDS
        for nth in range(1_000_000):
            size = Size(
                messages,
                messages_per_second=self._per_second,
                first=nth * messages,
                start_s=self._start_s,
                has_repeats=False,  # what is forgotten of a customer would be asked for
            )
            events = sorted(later + timed(size, self._seed + nth), key=lambda one: one[:2])
            ends_s = self._start_s + (nth + 1) * PART_SECONDS
            yield [record for at_s, _, record in events if at_s < ends_s]
            later = [one for one in events if one[0] >= ends_s]


class Counting:
    """The fold of one partition in memory, which forgets subjects that nothing will come to any more."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._next_offset = 0
        self._known: list[dict[str, set[bytes]]] = []

    def fold(self, records: list[tuple[bytes, bytes]]) -> dict[Key, bytes | None]:
        """Fold facts; return what the sink has to write."""
        facts = [Fact(self._next_offset + nth, *one) for nth, one in enumerate(records)]
        self._next_offset += len(facts)
        writes = fold_batch(facts, self._tables, Rules()).writes
        self._tables.write(writes)
        return dict(_written(writes))

    def forget(self) -> None:
        """Forget the states that were there some parts ago."""
        self._known.append(self._tables.keys_of(CELLS, ACTIVITY, COUNTERS))
        if len(self._known) > KEPT_PARTS:
            self._tables.drop(self._known.pop(0))


def _written(writes: Writes) -> Iterator[tuple[Key, bytes | None]]:
    for key, value in writes.get(COUNTERS, {}).items():
        if not key.startswith(NO_ROW):
            yield ("rows", key), value
    for name, kind in KIND_OF.items():
        for key, value in writes.get(name, {}).items():
            yield (kind, CODES[name] + key), value


class Run(Struct):
    """What a run has come to."""

    events: int = 0
    slowest_s: float = 0.0
    """The longest that the writes of one interval took."""
    behind_s: float = 0.0
    """How far behind its pace it came at most."""
    worst: dict[str, float] = {}
    """By table the highest share of dead tuples at any look."""


async def run(
    database: Database, seconds: float, events_per_second: int, faster: float, seed: int = 1
) -> Run:
    """Write as many seconds of events at that pace; look at the tables now and then."""
    writer, found = Writer(database, 1, PARTITIONS), Run()
    await writer.read_progress([])
    counting = [Counting() for _ in range(PARTITIONS)]
    seen: list[SinkProgress | None] = [None] * PARTITIONS
    at_once = round(events_per_second * WRITE_SECONDS)
    began_s = looked_s = time.monotonic()
    writes = 0
    for part in Flow(events_per_second, seed, int(time.time())).parts():
        for first in range(0, len(part) - at_once + 1, at_once):
            if writes * WRITE_SECONDS >= seconds:
                return found
            due_s = began_s + writes * WRITE_SECONDS / faster
            found.behind_s = max(found.behind_s, time.monotonic() - due_s)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            writes += 1
            found.events += at_once
            write_s = time.monotonic()
            for partition, records in facts_of(part[first : first + at_once]).items():
                entries, after = counting[partition].fold(records), progress(writes, writes)
                await writer.write(Order(partition, entries, after, seen[partition]))
                seen[partition] = after
            found.slowest_s = max(found.slowest_s, time.monotonic() - write_s)
            if time.monotonic() - looked_s >= LOOK_SECONDS:
                looked_s = time.monotonic()
                for one in await looked(database):
                    found.worst[one.name] = max(found.worst.get(one.name, 0.0), one.share)
        for one_ in counting:
            one_.forget()
    return found


def facts_of(records: list[RawRecord]) -> Mapping[int, list[tuple[bytes, bytes]]]:
    """Return the facts of raw records by partition."""
    facts = (keyed for one in records for keyed in READERS[one.topic](one.value or b"").facts)
    return by_partition(((keyed, Origin(0)) for keyed in facts), PARTITIONS)


async def looked(database: Database) -> list[Looked]:
    """Return the statistics of the tables that hold anything which is counted."""
    async with database.transaction() as connection:
        return [Looked(**dict(one)) for one in await connection.fetch(STATISTICS)]


def shown(tables: list[Looked], found: Run) -> str:
    """Return the figures as a table."""
    messages = found.events / EVENTS_PER_MESSAGE
    rows = [
        (
            f"`{one.name}`",
            f"{one.live:,}",
            f"{one.dead:,}",
            f"{one.share:.0%}",
            f"{found.worst.get(one.name, one.share):.0%}",
            f"{one.hot / one.updates:.0%} of {one.updates:,}" if one.updates else "0",
            one.vacuums,
            f"{(one.heap_bytes + one.index_bytes) / 1e6:,.1f}",
            f"{(one.heap_bytes + one.index_bytes) / messages:,.1f}",
            "yes" if one.holds else "NO",
        )
        for one in (*tables, together(tables))
    ]
    head = ("table", "rows", "dead", "share", "highest share", "updates within the page", "vacuums", "MB")
    return table((*head, "MB a million messages", "holds"), rows)


async def measured(seconds: float, events_per_second: int, faster: float) -> bool:
    """Run on a Postgres of its own, print what came of it, and return whether it holds.

    That is: of all tables together at most a fifth is dead right after the last write, and of each table with
    more than `SPARED` dead tuples.
    """
    with TemporaryDirectory(prefix="tally-bench-") as name:
        server = LocalPostgres.start(Path(name), port=0)
        try:
            migrate.up(server.dsn)
            database = await Database.open(server.dsn)
            try:
                found = await run(database, seconds, events_per_second, faster)
                tables = await looked(database)
                await asyncio.sleep(AFTER_SECONDS)
                later = together(await looked(database))
            finally:
                await database.close()
        finally:
            server.stop()
    sys.stdout.write(
        f"{found.events:,} events, {seconds:,.0f} s of {events_per_second:,}/s, {faster:g} times as fast;"
        f" the slowest interval took {found.slowest_s:.2f} s, at most {found.behind_s:.1f} s behind\n"
        f"{shown(tables, found)}\n"
        f"{AFTER_SECONDS:.0f} s later {later.dead:,} of all are dead, {later.share:.0%}\n"
    )
    return all(one.holds for one in tables) and together(tables).share <= MOST_SHARE


def main() -> int:
    """Run, print, and return 1 where a table has too many dead tuples."""
    parser = argparse.ArgumentParser(prog="python -m bench.dead_tuples", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3_600.0, help="of events")
    parser.add_argument("--rate", type=int, default=1_000, help="events a second")
    parser.add_argument("--faster", type=float, default=1.0, help="how many times as fast as they happened")
    asked = parser.parse_args()
    return 0 if asyncio.run(measured(asked.seconds, asked.rate, asked.faster)) else 1


if __name__ == "__main__":
    sys.exit(main())
