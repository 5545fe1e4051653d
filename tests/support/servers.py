"""Fixtures: one real Kafka and one real PostgreSQL a test session, and a fresh database a test.

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
"""CREATE and DROP wait for a checkpoint, which took more than 20 s beside two busy loops."""
LEAVE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = '{name}' AND usename = current_user
"""


@dataclass(frozen=True)
class Kafka:
    """The session's broker; `server` is None where it is not ours to kill."""

    bootstrap: str
    server: LocalKafka | None = None


@dataclass(frozen=True)
class Postgres:
    """The session's PostgreSQL; `server` is None where it is not ours to kill."""

    dsn: str
    server: LocalPostgres | None = None


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def kafka(servers_folder: Path) -> Iterator[Kafka]:
    """A broker for all tests of the session: give topics and groups names of your own."""
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
    """A PostgreSQL for all tests of the session: take `database` for one of your own."""
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
    """The DSN of an empty database that is dropped after the test, whoever is still connected."""
    with empty_database(postgres) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def recount_database(postgres: Postgres) -> Iterator[str]:
    """The DSN of a database that recounts share: each makes its schema again."""
    with empty_database(postgres) as dsn:
        yield dsn


@contextmanager
def empty_database(postgres: Postgres) -> Iterator[str]:
    """Create a database, and drop it, whoever is still connected."""
    name = f"test_{uuid4().hex}"
    asyncio.run(execute(postgres.dsn, f"CREATE DATABASE {name}"))
    try:
        yield urlunsplit(urlsplit(postgres.dsn)._replace(path=f"/{name}"))
    finally:
        # Not WITH (FORCE), which needs a superuser where a vacuum is at work; DROP waits for that.
        asyncio.run(execute(postgres.dsn, LEAVE.format(name=name)))
        asyncio.run(execute(postgres.dsn, f"DROP DATABASE {name}"))


async def execute(dsn: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    async with asyncio.timeout(DATABASE_DEADLINE_SECONDS):
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
