"""The roles advised in docs/running.md: their SQL runs, and each role has exactly the rights it needs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tally.deploy import migrate
from tally.tables.postgres.database import Database
from tally.tables.postgres.writer import Writer
from tests.support.servers import execute
from tests.support.sink_doubles import key, order, progress, row

DOCS = Path(__file__).parents[2] / "docs" / "running.md"
VIEWS = ("campaign_stats", "campaign_template_stats", "operator_stats", "cuts")
ROLES = ("tally_worker", "tally_reader")


def documented() -> str:
    """The SQL of the section on roles."""
    section = DOCS.read_text().partition("\n### Roles\n")[2]
    return section.partition("```sql\n")[2].partition("```")[0]


class Granted:
    """A migrated database with both roles. Roles are of the whole server, so each test has its own."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.suffix = uuid4().hex[:8]
        self.sql = documented()
        for role in ROLES:
            self.sql = self.sql.replace(role, self.role(role))
        self.sql = self.sql.replace("change this", "secret").replace("and this", "secret")

    def role(self, role: str) -> str:
        return f"{role}_{self.suffix}"

    def dsn(self, role: str) -> str:
        parts = urlsplit(self.owner)
        where = f"{self.role(role)}:secret@{parts.hostname}:{parts.port}"
        return urlunsplit(parts._replace(netloc=where))


@pytest.fixture
def granted(database: str) -> Iterator[Granted]:
    migrate.up(database)
    found = Granted(database)
    asyncio.run(execute(database, found.sql))
    try:
        yield found
    finally:
        for role in map(found.role, ROLES):
            asyncio.run(
                execute(database, f"GRANT {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")
            )


async def fetch(dsn: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


@pytest.mark.asyncio
async def test_the_worker_writes_and_the_reader_reads_every_view(granted: Granted) -> None:
    database = await Database.open(granted.dsn("tally_worker"))
    try:
        writer = Writer(database, 1)
        await writer.read_progress([0])
        counted = {"accepted": 3, "time_to_read.5": 2, "errors.meta:1": 1}
        rows = [(key(), row(5, **counted)), (key("c2"), None), (key("nul\0"), row(5, **counted))]
        wanted = order(0, rows, progress(5), None, is_pruning=True)
        assert (await writer.write(wanted, search=True)).changed == {"rows": 1}
        assert await writer.read_progress([0]) == {0: progress(5)}
        await writer.write(order(0, [(key("nul\0"), None)], progress(6, 2), progress(5)), search=True)
    finally:
        await database.close()
    tables = await fetch(granted.owner, "SELECT tablename FROM pg_tables WHERE schemaname = 'tally'")
    for table in {one["tablename"] for one in tables} - {"schema_migrations"}:
        await fetch(granted.dsn("tally_worker"), f"SELECT * FROM tally.{table}")  # noqa: S608
    reader = granted.dsn("tally_reader")
    for view in VIEWS:
        await fetch(reader, f"SELECT * FROM tally.{view}")  # noqa: S608 - names of our own
    (shown,) = await fetch(reader, "SELECT accepted, errors, time_to_read FROM tally.campaign_stats")
    assert shown["accepted"] == 3
    (timeout,) = await fetch(reader, "SHOW statement_timeout")
    assert timeout[0] == "10s"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("tally_reader", "SELECT * FROM tally.counters"),
        ("tally_reader", "UPDATE tally.sink_progress SET seq = 0"),
        ("tally_reader", "CREATE TABLE tally.mine (n int)"),
        ("tally_worker", "DELETE FROM tally.sink_progress"),
        ("tally_worker", "DROP VIEW tally.campaign_stats"),
        ("tally_worker", "CREATE TABLE tally.mine (n int)"),
    ],
)
async def test_neither_role_can_do_more(granted: Granted, role: str, statement: str) -> None:
    with pytest.raises(
        (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError),
        match=r"denied|owner|read-only",
    ):
        await fetch(granted.dsn(role), statement)
