"""The recount: raw topics are copied into Postgres unchanged, and counted there by plain SQL."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import orjson

from tally.schemas.bounds import BOUNDS
from tally.schemas.market_prefixes import PREFIXES
from tally.schemas.numbers import Number
from tally.tables.kafka.unread import stands_in

SQL_FILES = ("recount.sql", "recount_calls.sql", "recount_old.sql")
CELL_FILES = ("recount_cells.sql", "recount_call_cells.sql")
COPY_ROWS = 5_000
DEADLINE_SECONDS = 300.0
RAW = ("webhook-events", "send-results", "ami-events", "campaigns")
KEYED = frozenset({"campaigns"})
UNREAD = "tally-unread"
"""The header of a stand-in for a batch that was not unpacked; only rows of `recount.raw` have it."""

KEY = "tally-key"
"""The header of a record's key, of a topic in KEYED; only rows of `recount.raw` have it."""

Row = dict[str, Any]
Copied = tuple[str, int, int, int, bytes | None, dict[str, str]]


class RawTopics(Protocol):
    """The raw topics of a deployment; callers with settings and clients implement the reading."""

    def records(self, topics: Sequence[str], deadline_seconds: float) -> AsyncIterator[tuple[str, Any]]:
        """Yield every record that these topics hold now, after its topic. Raises TimeoutError."""

    async def numbers(self) -> Mapping[str, Number]:
        """Return what is known of each business number."""


async def connect(dsn: str) -> Any:
    """Connect to Postgres, with jsonb decoded to objects."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=DEADLINE_SECONDS)
    await connection.set_type_codec(
        "jsonb",
        # Binary, as COPY requires: a byte with the format's version, and then the text.
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda value: orjson.loads(value[1:]),
        schema="pg_catalog",
        format="binary",
    )
    return connection


async def begin(connection: Any) -> None:
    """Drop and create the schema, with an empty `recount.raw` and the bounds."""
    await connection.execute("DROP SCHEMA IF EXISTS recount CASCADE")
    await _execute(connection, "recount_raw.sql")
    rows = [(bound.name, bound.most) for bound in BOUNDS]
    await connection.copy_records_to_table("bound", schema_name="recount", records=rows)
    prefixes = [(prefix, region) for region, of_it in PREFIXES.items() for prefix in of_it.split()]
    await connection.copy_records_to_table("market_prefix", schema_name="recount", records=prefixes)


async def copy_raw(raw: RawTopics, connection: Any) -> int:
    """Copy the raw topics' bytes into `recount.raw`; return the number of records."""
    await begin(connection)
    rows: list[Copied] = []
    count = 0
    await copy_numbers(connection, await raw.numbers())
    async for topic, record in raw.records(RAW, DEADLINE_SECONDS):
        place = (topic, record.partition, record.offset, record.timestamp)
        # A stand-in for a batch that may not be unpacked is not one of its records, so it counts nothing.
        unread = stands_in(record)
        headers = {UNREAD: ""} if unread else headers_of(topic, record.key, record.headers)
        rows.append((*place, None if unread else record.value, headers))
        count += 1
        if len(rows) == COPY_ROWS:
            await _copy(connection, rows)
            rows = []
    await _copy(connection, rows)
    return count


async def copy_numbers(connection: Any, numbers: Mapping[str, Number]) -> None:
    """Copy what is known of business numbers into `recount.number`."""
    rows = [(number_id, number.tenant, number.successor_of) for number_id, number in numbers.items()]
    await connection.copy_records_to_table("number", schema_name="recount", records=rows)


def headers_of(topic: str, key: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return a record's headers for SQL, with its key where the topic's readers ask for it.

    U+FDD0 replaces U+0000, which Postgres cannot store in text.
    """
    named = dict(headers) | ({KEY: key} if topic in KEYED else {})
    return {_storable(name): _text(value) for name, value in named.items() if value is not None}


def _text(value: bytes) -> str:
    """Return a header's text; bytes that are not UTF-8 are read as Latin-1 (docs/producers.md)."""
    try:
        return _storable(value.decode())
    except UnicodeDecodeError:
        return _storable(value.decode("latin-1"))


def _storable(text: str) -> str:
    return text.replace("\0", "\ufdd0")


async def _copy(connection: Any, rows: list[Copied]) -> None:
    await connection.copy_records_to_table("raw", schema_name="recount", records=rows)


async def recount(connection: Any) -> None:
    """Count everything in `recount.raw`."""
    for name in SQL_FILES:
        await _execute(connection, name)


async def recount_cells(connection: Any) -> None:
    """Count by cell what `recount` has counted."""
    for name in CELL_FILES:
        await _execute(connection, name)


async def count_of_cells(connection: Any) -> int:
    """Return how many counters of cells were recounted."""
    tables = ("recount.cell", "recount.activity", "recount.call_operator_cell")
    return sum([await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables])  # noqa: S608


async def differing_cells(connection: Any) -> list[Row]:
    """Return where the cells in Postgres differ from the recount: cell, counter, recounted and found."""
    return [dict(row) for row in await connection.fetch(await _sql("differing_cells.sql"))]


async def _execute(connection: Any, name: str) -> None:
    await connection.execute(await _sql(name))


async def _sql(name: str) -> str:
    return await asyncio.to_thread(Path(__file__).with_name(name).read_text, encoding="utf-8")


async def fetch(connection: Any, table: str) -> list[Row]:
    """Return all rows of one of TABLES. Raises ValueError for any other."""
    if table not in TABLES:
        raise ValueError(table)
    return [dict(row) for row in await connection.fetch(f"SELECT * FROM {table}")]  # noqa: S608 - from TABLES


TABLES = frozenset(
    {
        *("recount.call_stats", "recount.call_template_stats", "recount.operator_stats"),
        "tally.operator_stats",
        *("recount.campaign_stats", "recount.campaign_template_stats", "recount.old_way"),
        *("tally.campaign_stats", "tally.campaign_template_stats"),
    }
)
