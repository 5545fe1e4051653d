"""`python -m bench.line_writes`: how lines come to Postgres, way by way: time, CPU, log and bytes of a line.

The load of the benchmarks is folded in memory in batches of 0.8 s of 3,300 events/s, as a sink writes. After
each batch the lines of every state that it changed are written in one transaction, by one of these ways:

* `json`: one statement takes a JSON list, deletes those that a subject has no more and upserts the others;
* `unnest`: the same from arrays, nested ones as text;
* `copy`: all lines of the subjects are deleted, and the present ones are copied into the table.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import orjson
from msgspec import Struct

from bench.in_memory import Fact, Tables
from bench.load import Size, load
from bench.table import table
from tally.agents.fold.batch import fold_batch
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.records import Origin
from tally.schemas.sources import READERS
from tally.tables.families.registry import FAMILIES
from tally.tables.kafka.facts_log import by_partition
from tally.tables.postgres.kind import columns_of, on_conflict
from tally.tables.postgres.line_records import LINE_COLUMNS, Record, line_record, subject_digest
from tally.tables.rules import Rules

EVENTS_A_BATCH = 2_640
PIECE = 2_000
_NAMES = tuple(LINE_COLUMNS)
_VALUES = _NAMES[2:]
_KINDS = columns_of([f"{name} {kind}" for name, kind in LINE_COLUMNS.items()])
_CONFLICT = on_conflict(("subject", "line"), _VALUES)
_GONE = """
gone AS (
    DELETE FROM tally.lines AS held USING about
    WHERE held.generation = $1 AND held.partition = $2 AND held.subject = about.subject
        AND NOT EXISTS (SELECT FROM sent WHERE sent.subject = held.subject AND sent.line = held.line)
)
"""
_SENT_AS_JSON = columns_of(
    [f"{name} {'text' if kind == 'bytea' else kind}" for name, kind in LINE_COLUMNS.items()]
)
_FROM_JSON = columns_of(
    [f"decode({name}, 'hex') AS {name}" if kind == "bytea" else name for name, kind in LINE_COLUMNS.items()]
)
BY_JSON = f"""
WITH sent AS MATERIALIZED (
    SELECT {_FROM_JSON} FROM jsonb_to_recordset($4) AS sent ({_SENT_AS_JSON})
), about AS (SELECT unnest($5::bytea[]) AS subject), {_GONE}
INSERT INTO tally.lines AS held (generation, partition, epoch, {columns_of(_NAMES)})
SELECT $1, $2, $3, {columns_of(_NAMES)} FROM sent
{_CONFLICT}
"""  # noqa: S608 - names of columns
_FLAT = {name: "text" if kind.endswith("[]") else kind for name, kind in LINE_COLUMNS.items()}
_ARRAYS = columns_of([f"${nth}::{kind}[]" for nth, kind in enumerate(_FLAT.values(), 5)])
_FROM_ARRAYS = columns_of(
    [f"{name}::{kind}" if kind.endswith("[]") else name for name, kind in LINE_COLUMNS.items()]
)
BY_UNNEST = f"""
WITH sent AS MATERIALIZED (
    SELECT * FROM unnest({_ARRAYS}) AS sent ({columns_of(_NAMES)})
), about AS (SELECT unnest($4::bytea[]) AS subject), {_GONE}
INSERT INTO tally.lines AS held (generation, partition, epoch, {columns_of(_NAMES)})
SELECT $1, $2, $3, {_FROM_ARRAYS} FROM sent
{_CONFLICT}
"""  # noqa: S608
DELETE = "DELETE FROM tally.lines WHERE generation = $1 AND partition = $2 AND subject = ANY ($3::bytea[])"
TABLE = (migrate.SCRIPTS.migrations / "0002_lines.sql").read_text().partition("-- migrate:down")[0]
COLUMNS = ("generation", "partition", "epoch", *_NAMES)
DROPPED = {
    "the key alone": ("DROP INDEX tally.lines_campaign", "DROP INDEX tally.lines_found_by"),
    "and by campaign": ("DROP INDEX tally.lines_found_by",),
    "and by what it counts": (),
}

Connection = Any
Way = Callable[[Connection, Sequence[bytes], Sequence[Record]], Awaitable[float]]
"""Writes the lines of subjects; returns the seconds of our own CPU that it took to say them."""


class Batch(Struct, frozen=True):
    """What one batch of the fold changes."""

    subjects: list[bytes]
    records: list[Record]


async def by_json(connection: Connection, subjects: Sequence[bytes], records: Sequence[Record]) -> float:
    began = time.process_time()
    listed = [
        {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in zip(_NAMES, one, strict=True)
        }
        for one in records
    ]
    sent = orjson.dumps(listed).decode()
    spent = time.process_time() - began
    await connection.execute(BY_JSON, 1, 0, 1, sent, subjects)
    return spent


async def by_unnest(connection: Connection, subjects: Sequence[bytes], records: Sequence[Record]) -> float:
    began = time.process_time()
    flat = [[_flat(value) for value in one] for one in records]
    columns = list(zip(*flat, strict=True)) or [()] * len(_NAMES)
    spent = time.process_time() - began
    await connection.execute(BY_UNNEST, 1, 0, 1, subjects, *columns)
    return spent


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return "{" + ",".join(f'"{one}"' if isinstance(one, str) else str(one) for one in value) + "}"
    return value


async def by_copy(connection: Connection, subjects: Sequence[bytes], records: Sequence[Record]) -> float:
    began = time.process_time()
    rows = [(1, 0, 1, *one) for one in records]
    spent = time.process_time() - began
    await connection.execute(DELETE, 1, 0, subjects)
    await connection.copy_records_to_table("lines", schema_name="tally", columns=COLUMNS, records=rows)
    return spent


WAYS: dict[str, Way] = {"json": by_json, "unnest": by_unnest, "copy": by_copy}


def batches(messages: int) -> tuple[list[Batch], float]:
    """Return what each batch of a load changes, and the seconds that it took to derive it from states."""
    records = load(Size(messages), seed=1)
    tables, found, spent, offset = Tables(), [], 0.0, 0
    of_families = {family.table: family for family in FAMILIES}
    for start in range(0, len(records), EVENTS_A_BATCH):
        routed = [
            (keyed, Origin(1, 1 + nth))
            for nth, one in enumerate(records[start : start + EVENTS_A_BATCH])
            for keyed in READERS[one.topic](one.value).facts
        ]
        (facts,) = by_partition(routed, 1).values()
        some = [Fact(offset + nth, key, value) for nth, (key, value) in enumerate(facts)]
        offset += len(some)
        writes = fold_batch(some, tables, Rules()).writes
        tables.write(writes)
        began = time.process_time()
        batch = Batch([], [])
        for table_name, family in of_families.items():
            for key, value in writes.get(table_name, {}).items():
                subject = subject_digest(family.code, key)
                batch.subjects.append(subject)
                lines = [] if value is None else family.lines(key, family.decode(value), Rules())
                batch.records.extend(line_record(subject, table_name, line, True) for line in lines)
        spent += time.process_time() - began
        found.append(batch)
    return found, spent


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def measured(dsn: str, way: Way, indexes: Sequence[str], some: Sequence[Batch]) -> list[str]:
    """Write all batches into an empty table; return what a line takes."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        await connection.execute("DROP TABLE IF EXISTS tally.lines")
        await connection.execute(TABLE)
        for sql in indexes:
            await connection.execute(sql)
        wal = await connection.fetchval("SELECT pg_current_wal_lsn()")
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        server_s, own_s, began_s, said_s = _cpu_seconds(pid), time.process_time(), time.monotonic(), 0.0
        for batch in some:
            async with connection.transaction():
                said_s += await way(connection, batch.subjects, batch.records)
        lines = sum(len(batch.records) for batch in some)
        took_s, own_s = time.monotonic() - began_s, time.process_time() - own_s
        server_s = _cpu_seconds(pid) - server_s
        logged = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1)", wal)
        held = await connection.fetchval("SELECT count(*) FROM tally.lines")
        await connection.execute("VACUUM FULL tally.lines")
        sizes = await connection.fetchrow(
            "SELECT pg_table_size('tally.lines') AS heap, pg_indexes_size('tally.lines') AS indexes"
        )
        return [
            f"{took_s / lines * 1e6:.1f}",
            f"{server_s / lines * 1e6:.1f}",
            f"{own_s / lines * 1e6:.1f}",
            f"{int(logged) / lines:,.0f}",
            *(f"{size / held:,.0f}" for size in sizes or ()),
        ]
    finally:
        await connection.close()


HEADER = ["way", "indexes", "µs", "CPU of Postgres µs", "own CPU µs", "log bytes", "stored", "in indexes"]


async def _measure(dsn: str, messages: int) -> None:
    some, spent = batches(messages)
    lines, subjects = sum(len(one.records) for one in some), sum(len(one.subjects) for one in some)
    sys.stdout.write(
        f"{messages} messages, {len(some)} batches, {subjects} written states, {lines} lines written;"
        f" {spent / lines * 1e6:.1f} us of CPU to derive a line\n"
    )
    rows = []
    for name, way in WAYS.items():
        for indexed, sql in DROPPED.items():
            rows.append([name, indexed, *await measured(dsn, way, sql, some)])
    sys.stdout.write(table(HEADER, rows) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.line_writes", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    given = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="tally-bench-") as name:
        postgres = LocalPostgres.start(Path(name), port=0)
        try:
            migrate.up(postgres.dsn)
            asyncio.run(_measure(postgres.dsn, given.messages))
        finally:
            postgres.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
