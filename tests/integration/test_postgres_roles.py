"""The roles advised in docs/running.md: their SQL runs, and each role has exactly the rights it needs.

The examples of docs/sql.md run as the reader's role.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tally.deploy import migrate
from tally.tables.postgres.database import Database
from tally.tables.postgres.writer import Writer
from tests.integration.test_postgres_cells import facts, fold, level
from tests.integration.test_postgres_sink import process
from tests.support.partition import MemoryPartition
from tests.support.servers import execute
from tests.support.sink_doubles import key, order, progress, row

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(r"```sql\n(.*?)```", (DOCS / "sql.md").read_text(encoding="utf-8"), re.DOTALL)
VIEWS = ("campaign_stats", "campaign_template_stats", "operator_stats", "cuts")
FUNCTIONS = (
    "campaign_days('t1', 'c1', {span})",
    "campaign_activity_days('t1', 'c1', {span})",
    "tenant_days('t1', {span})",
    "tenant_activity_days('t1', {span})",
    "operator_days('t1', 'pbx-1', 'PJSIP/ada', {span})",
    "queue_days('t1', 'support', {span})",
)
SPAN = "'Europe/Amsterdam', '2026-11-01', '2026-11-30'"
ROLES = ("tally_worker", "tally_reader")


def documented() -> str:
    """The SQL of the section on roles."""
    section = (DOCS / "running.md").read_text().partition("\n### Roles\n")[2]
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
    for function in FUNCTIONS:
        days = await fetch(reader, f"SELECT * FROM tally.{function.format(span=SPAN)}")  # noqa: S608
        assert len(days) == 30, function
    (shown,) = await fetch(reader, "SELECT accepted, errors, time_to_read FROM tally.campaign_stats")
    assert shown["accepted"] == 3
    (timeout,) = await fetch(reader, "SHOW statement_timeout")
    assert timeout[0] == "10s"


@pytest.mark.asyncio
async def test_the_examples_run_as_the_reader_and_tell_the_numbers_of_the_campaign(granted: Granted) -> None:
    partition = MemoryPartition()
    async with process(granted.owner) as ours:
        fold(ours, partition, facts())
        await level(ours)
    (campaign,) = await fetch(
        granted.owner,
        "SELECT * FROM tally.campaign_stats WHERE tenant LIKE 'tenant-%' ORDER BY failed DESC LIMIT 1",
    )
    tenant, name = f"'{campaign['tenant']}'", f"'{campaign['campaign']}'"
    examples = [one.replace("'acme'", tenant).replace("'spring'", name) for one in EXAMPLES]
    found = [await fetch(granted.dsn("tally_reader"), one) for one in examples]
    campaigns, templates, reasons, days, of_tenant, cells = found
    # Of the last month there are none: the load is older.
    assert campaigns == []
    assert sum(one["accepted"] for one in templates) == campaign["accepted"] > 0
    assert sum(one["failures"] for one in reasons) == campaign["failed"] > 0
    for counter in ("accepted", "delivered", "read"):
        assert sum(one[counter] for one in days) == campaign[counter] > 0
    assert sum(one["delivered"] for one in of_tenant) >= campaign["delivered"]
    assert sum(one["accepted"] for one in cells) == campaign["accepted"]
    assert {one["market"] for one in cells} == {"BR"}
    assert len(days) == len(of_tenant) == 30


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("tally_reader", "SELECT * FROM tally.counters"),
        ("tally_reader", "UPDATE tally.sink_progress SET seq = 0"),
        ("tally_reader", "CREATE TABLE tally.mine (n int)"),
        ("tally_reader", "SELECT value FROM tally.withheld"),
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
