"""Fixtures: one real Kafka and one real PostgreSQL for a test session, and a fresh database for each test.

`TALLY_KAFKA_BOOTSTRAP` and `TALLY_POSTGRES_DSN` name servers to use instead of the embedded ones.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tally.deploy.local import LocalKafka, LocalPostgres

DATABASE_DEADLINE_SECONDS = 90.0
"""Deadline of CREATE and DROP: they wait for a checkpoint, which took over 20 s beside two busy loops."""
LEAVE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = '{name}' AND usename = current_user
"""


@dataclass(frozen=True)
class Kafka:
    """The session's broker; `server` is None for an external one, which tests must not kill."""

    bootstrap: str
    server: LocalKafka | None = None


@dataclass(frozen=True)
class Postgres:
    """The session's PostgreSQL; `server` is None for an external one, which tests must not kill."""

    dsn: str
    server: LocalPostgres | None = None


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def kafka(servers_folder: Path) -> Iterator[Kafka]:
    """Run one broker for all tests of the session; each test must use its own topic and group names."""
    if bootstrap := os.environ.get("TALLY_KAFKA_BOOTSTRAP"):
        yield Kafka(bootstrap)
        return
    server = LocalKafka.start(servers_folder, port=0)
    try:
        yield Kafka(server.bootstrap, server)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres(servers_folder: Path) -> Iterator[Postgres]:
    """Run one PostgreSQL for all tests of the session; `database` gives a test a separate database."""
    if dsn := os.environ.get("TALLY_POSTGRES_DSN"):
        yield Postgres(dsn)
        return
    server = LocalPostgres.start(servers_folder, port=0)
    try:
        yield Postgres(server.dsn, server)
    finally:
        server.stop()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """Yield the DSN of an empty database; drop it after the test despite open connections."""
    with empty_database(postgres) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def recount_database(postgres: Postgres) -> Iterator[str]:
    """Yield the DSN of a database that recounts share; each recount recreates its schema."""
    with empty_database(postgres) as dsn:
        yield dsn


@contextmanager
def empty_database(postgres: Postgres) -> Iterator[str]:
    """Create a database, and drop it at the end despite open connections."""
    name = f"test_{uuid4().hex}"
    asyncio.run(execute(postgres.dsn, f"CREATE DATABASE {name}"))
    try:
        yield urlunsplit(urlsplit(postgres.dsn)._replace(path=f"/{name}"))
    finally:
        # Without FORCE, which needs superuser rights while a vacuum is running; plain DROP waits for it.
        asyncio.run(execute(postgres.dsn, LEAVE.format(name=name)))
        asyncio.run(execute(postgres.dsn, f"DROP DATABASE {name}"))


async def execute(dsn: str, statement: str) -> None:
    """Run one statement on a new connection."""
    async with asyncio.timeout(DATABASE_DEADLINE_SECONDS):
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
