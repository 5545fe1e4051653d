"""A separate database for one demo, so it touches no other counters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tally.streams.dev.stack import POSTGRES, Stack

DEADLINE_SECONDS = 20.0


@asynccontextmanager
async def fresh_database(stack: Stack, name: str) -> AsyncIterator[dict[str, str]]:
    """Create a database, yield the environment that names it, and drop it at the end."""
    dsn = stack.settings.postgres_dsn.get_secret_value()
    database = "tally_" + name.strip("-").replace("-", "_")
    await _execute(dsn, f'CREATE DATABASE "{database}"')
    try:
        yield stack.environment | {POSTGRES: with_database(dsn, database)}
    finally:
        # Without FORCE, which needs superuser rights while a vacuum is running; plain DROP waits for it.
        await _execute(dsn, f'DROP DATABASE "{database}"')


def with_database(dsn: str, database: str) -> str:
    """Return a DSN that names another database of the same server. Pure."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=DEADLINE_SECONDS, command_timeout=DEADLINE_SECONDS)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
