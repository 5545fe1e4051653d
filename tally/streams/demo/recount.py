"""The recount: raw topics copied into Postgres as they are, and counted there by plain SQL."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from tally.streams.log_reading import read_to_end
from tally.streams.settings import Settings

SQL_FILES = ("recount.sql", "recount_old.sql")
COPY_ROWS = 5_000
DEADLINE_SECONDS = 300.0
RAW = ("webhook-events", "send-results")

Row = dict[str, Any]


async def connect(settings: Settings) -> Any:
    """Connect to Postgres with jsonb read as objects."""
    connection = await asyncpg.connect(
        settings.postgres_dsn.get_secret_value(), timeout=10, command_timeout=DEADLINE_SECONDS
    )
    await connection.set_type_codec(
        "jsonb", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads, schema="pg_catalog"
    )
    return connection


async def copy_raw(settings: Settings, connection: Any) -> int:
    """Copy the raw topics' bytes into `recount.raw`; return how many records there are."""
    await connection.execute(
        "DROP SCHEMA IF EXISTS recount CASCADE; CREATE SCHEMA recount;"
        " CREATE TABLE recount.raw (topic text NOT NULL, kafka_partition int NOT NULL,"
        " kafka_offset bigint NOT NULL, body bytea)"
    )
    logical = {settings.names.raw(topic): topic for topic in RAW}
    rows: list[tuple[str, int, int, bytes | None]] = []
    count = 0
    async for record in read_to_end(settings.kafka_client(), list(logical), DEADLINE_SECONDS):
        rows.append((logical[record.topic], record.partition, record.offset, record.value))
        count += 1
        if len(rows) == COPY_ROWS:
            await _copy(connection, rows)
            rows = []
    await _copy(connection, rows)
    return count


async def _copy(connection: Any, rows: list[tuple[str, int, int, bytes | None]]) -> None:
    await connection.copy_records_to_table("raw", schema_name="recount", records=rows)


async def recount(connection: Any) -> None:
    """Count everything that was copied."""
    for name in SQL_FILES:
        sql = await asyncio.to_thread(Path(__file__).with_name(name).read_text, encoding="utf-8")
        await connection.execute(sql)


async def fetch(connection: Any, table: str) -> list[Row]:
    """Return all rows of one of the tables or views of ours and of the recount."""
    if table not in TABLES:
        raise ValueError(table)
    return [dict(row) for row in await connection.fetch(f"SELECT * FROM {table}")]  # noqa: S608 - from TABLES


TABLES = frozenset(
    {
        *("recount.campaign_stats", "recount.campaign_template_stats", "recount.old_way"),
        *("tally.campaign_stats", "tally.campaign_template_stats"),
    }
)
