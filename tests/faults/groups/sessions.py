"""Somebody else at the same Postgres: sessions of tests, and what they see of the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

DEADLINE_SECONDS = 20.0
Told = Callable[[str, object], None]
"""The fixture `record_property`: figures for a report."""
NAME = "somebody-else"
ROWS_UNDER_WAY = 30
"""Rows that simulated campaigns have within their first seconds, at any pace of these tests."""
WAITING = """
SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE NOT granted AND application_name <> $1
"""


async def connected(dsn: str) -> Any:
    """Return a connection whose name tells it from those of workers."""
    return await asyncpg.connect(
        dsn,
        timeout=DEADLINE_SECONDS,
        command_timeout=DEADLINE_SECONDS,
        server_settings={"application_name": NAME},
    )


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Any]:
    """Keep a session open; it ends at once, with whatever it holds."""
    connection = await connected(dsn)
    try:
        yield connection
    finally:
        connection.terminate()


async def until_somebody_waits(connection: Any) -> None:
    """Wait until a worker waits for a lock. Raises AssertionError."""
    began = time.monotonic()
    while not await connection.fetchval(WAITING, NAME):
        assert time.monotonic() - began < DEADLINE_SECONDS, "no worker waits for a lock"
        await asyncio.sleep(0.01)


async def sink_progress(connection: Any) -> dict[int, int]:
    """Return how far each partition is written."""
    rows = await connection.fetch("SELECT partition, counters_offset FROM tally.sink_progress")
    return {row["partition"]: row["counters_offset"] for row in rows}


async def until_written(connection: Any, rows: int = ROWS_UNDER_WAY) -> None:
    """Wait until Postgres holds so many rows, so that a fault strikes a flow. Raises AssertionError."""
    began = time.monotonic()
    while await connection.fetchval("SELECT count(*) FROM tally.counters") < rows:
        assert time.monotonic() - began < DEADLINE_SECONDS, f"there are no {rows} rows"
        await asyncio.sleep(0.1)
