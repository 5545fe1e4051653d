"""Figures of queries and of dead tuples in small: what they are made from is lawful, and they come out."""

import pytest

from bench.dead_tuples import looked, run
from bench.dead_tuples import shown as shown_tables
from bench.query_times import measured, shown
from bench.year import ALWAYS_ON, TENANT, Year, fill
from tally.deploy import migrate
from tally.tables.postgres.database import Database
from tally.tables.postgres.laws import (
    ACTIVITY_SUMS_UP_TO_CAMPAIGNS,
    ROWS_ARE_SUMS_OF_CELLS,
    SUMS_ARE_OF_CELLS,
)

pytestmark = pytest.mark.asyncio

SMALL = Year(days=3, templates=6, campaigns=9)
YEAR_BY_DAY = "EXPLAIN SELECT sum(accepted) FROM tally.{table} WHERE generation = 1 AND {where}"
OF_YEAR = f"tenant = '{TENANT}' AND quarter >= '2025-01-02' AND quarter < '2025-01-03'"


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


async def broken(database: Database, *laws: str) -> list[object]:
    async with database.transaction() as connection:
        return [one for law in laws for one in await connection.fetch(law, 1)]


async def test_a_small_year_is_lawful_and_every_question_about_it_is_answered_by_an_index(
    migrated: str,
) -> None:
    database = await Database.open(migrated, connections=1, deadline_seconds=60.0)
    try:
        assert await fill(database, SMALL) > 1_000
        assert await broken(database, ROWS_ARE_SUMS_OF_CELLS, SUMS_ARE_OF_CELLS) == []
        answered = await measured(database, SMALL, 2)
        assert shown(answered).count("\n") == len(answered) + 1
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL enable_seqscan = off")
            for table, where in (
                ("cell_sums", f"campaign = '{ALWAYS_ON}' AND {OF_YEAR}"),
                ("tenant_sums", OF_YEAR),
                ("activity_sums", f"campaign = '{ALWAYS_ON}' AND {OF_YEAR}"),
                ("tenant_activity_sums", OF_YEAR),
                ("cells", f"grain = 'operator' AND template_language = 'PJSIP/ada' AND {OF_YEAR}"),
                ("activity", f"queue = 'support' AND queue <> '' AND {OF_YEAR}"),
            ):
                plan = await connection.fetch(YEAR_BY_DAY.format(table=table, where=where))
                conditions = " ".join(line[0] for line in plan if "Index Cond" in line[0])
                assert "quarter" in conditions, (table, plan)
    finally:
        await database.close()


async def test_what_the_dead_tuples_are_measured_with_is_written_as_the_sink_writes_it(migrated: str) -> None:
    database = await Database.open(migrated)
    try:
        found = await run(database, seconds=8.0, events_per_second=60, faster=1_000.0)
        assert found.events == 480
        laws = (ROWS_ARE_SUMS_OF_CELLS, SUMS_ARE_OF_CELLS, ACTIVITY_SUMS_UP_TO_CAMPAIGNS)
        assert await broken(database, *laws) == []
        tables = await looked(database)
        assert "`cells`" in shown_tables(tables, found)
    finally:
        await database.close()
