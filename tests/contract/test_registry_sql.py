"""The metric registry and the SQL schema name the same counters, in both directions."""

import asyncio

import asyncpg
import pytest

from tally.deploy import migrate
from tally.schemas.counters import API_ORDER, COUNTERS
from tally.tables.postgres.columns import COUNTED, KEY, VALUES

OWN = {"generation", "partition", "updated_at"}
SQL_TYPE = {"count": "bigint", "map": "jsonb", "seconds": "jsonb"}
COLUMNS = """
SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
WHERE table_schema = 'tally' AND table_name = $1 ORDER BY ordinal_position
"""
Column = tuple[str, str, str]
"""Type, whether it may be null, default."""


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


def columns(dsn: str, table: str) -> dict[str, Column]:
    async def read() -> dict[str, Column]:
        connection = await asyncpg.connect(dsn)
        try:
            return {name: (kind, *rest) for name, kind, *rest in await connection.fetch(COLUMNS, table)}
        finally:
            await connection.close()

    return asyncio.run(read())


def test_every_counter_has_a_column_and_every_column_a_counter(migrated: str) -> None:
    found = columns(migrated, "counters")
    assert set(found) - OWN - KEY.keys() - (VALUES.keys() - COUNTED.keys()) == {c.name for c in COUNTERS}
    for counter in COUNTERS:
        zero = "0" if counter.kind == "count" else "'{}'::jsonb"
        assert found[counter.name] == (SQL_TYPE[counter.kind], "NO", zero), counter.name


def test_the_writer_writes_every_column(migrated: str) -> None:
    found = columns(migrated, "counters")
    assert set(found) - OWN == KEY.keys() | VALUES.keys()
    assert all(found[c.name][0] == COUNTED[c.name] for c in COUNTERS)


def test_the_views_have_the_numbers_of_the_api_in_its_order(migrated: str) -> None:
    types = {counter.name: SQL_TYPE[counter.kind] for counter in COUNTERS}
    for view, names in (
        ("campaign_stats", ("tenant", "campaign")),
        ("campaign_template_stats", ("tenant", "campaign", "template_name", "template_language")),
    ):
        found = columns(migrated, view)
        assert tuple(found) == (*names, *API_ORDER)
        assert all(found[name][0] == types.get(name, "bigint") for name in API_ORDER)
