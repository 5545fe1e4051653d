"""The counter registry and the SQL schema name the same counters, in both directions."""

import asyncio
import re

import asyncpg
import pytest

from tally.deploy import migrate
from tally.schemas.counters import API_ORDER, COUNTERS, RATES
from tally.schemas.descriptions import FIELDS
from tally.schemas.grains import GRAINS, KEY_COLUMNS
from tally.tables.postgres.columns import COUNTED, KEY, VALUES
from tally.tables.postgres.sieve import KINDS

OWN = {"generation", "partition", "epoch", "updated_at"}
TRUST = ("first_activity", "last_activity", "updated_at", "catching_up", "withheld")
"""When something happened, and how far to trust a row of a view; after its numbers."""
RATED = tuple(f"{rate.name}_rate" for rate in RATES)
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


def execute_all(dsn: str, query: str) -> set[str]:
    async def read() -> set[str]:
        connection = await asyncpg.connect(dsn)
        try:
            return {found[0] for found in await connection.fetch(query)}
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


@pytest.mark.parametrize(
    ("view", "names", "numbers", "rated"),
    [
        ("campaign_stats", ("tenant", "campaign", "channel", *FIELDS, "template_ids"), API_ORDER, RATED),
        (
            "campaign_template_stats",
            ("tenant", "campaign", "template_name", "template_language", "channel", "template_ids"),
            API_ORDER,
            RATED,
        ),
        ("operator_stats", ("tenant", "pbx", "operator"), ("talk_ms", "connects", "ring_no_answer"), ()),
    ],
)
def test_the_views_have_the_numbers_of_the_api_in_its_order(
    migrated: str, view: str, names: tuple[str, ...], numbers: tuple[str, ...], rated: tuple[str, ...]
) -> None:
    types = {counter.name: SQL_TYPE[counter.kind] for counter in COUNTERS}
    found = columns(migrated, view)
    assert tuple(found) == (*names, *numbers, *rated, *TRUST)
    assert all(found[name][0] == types.get(name, "bigint") for name in numbers)


def test_every_grain_has_its_view_and_no_other_is_there(migrated: str) -> None:
    assert execute_all(migrated, "SELECT viewname FROM pg_views WHERE schemaname = 'tally'") == {
        *(grain.view for grain in GRAINS),
        "cuts",
    }


def test_the_primary_key_of_the_table_is_that_of_the_registry(migrated: str) -> None:
    keyed = """
    SELECT attname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE conrelid = 'tally.counters'::regclass AND contype = 'p'
    """
    assert execute_all(migrated, keyed) == {"generation", "partition", *KEY_COLUMNS}


def test_every_table_that_the_sink_rewrites_has_room_on_its_pages(migrated: str) -> None:
    rewritten = set(
        re.findall(r"DELETE FROM tally\.(\w+)", "".join(sql for kind in KINDS for sql in kind.prunes))
    )
    roomy = """
    SELECT relname FROM pg_class, unnest(reloptions) AS option
    WHERE relnamespace = 'tally'::regnamespace AND option LIKE 'fillfactor=%'
    """
    assert execute_all(migrated, roomy) == rewritten | {"sink_progress", "withheld"}
