"""The views and columns rendered from the registries, on a real PostgreSQL."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tally.deploy import migrate
from tests.support.servers import execute

VIEW = "tally.campaign_stats"
OURS = migrate.SCRIPTS
PROGRESS = """
INSERT INTO tally.sink_progress
VALUES (1, 0, 's', 'a', 'b', 7, 'r', 'known', 7, 7, 0, 7, true, 1, true, 'w', 1)
"""


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


@pytest.fixture
def changed(tmp_path: Path) -> migrate.Scripts:
    """Another version's scripts: the same views in another text."""
    assert OURS.views is not None
    views = tmp_path / "views.sql"
    views.write_text(OURS.views.read_text() + "\n-- another version\n")
    return replace(OURS, views=views)


@pytest.fixture
def role(migrated: str) -> Iterator[str]:
    name = f"reader_{uuid4().hex[:8]}"
    asyncio.run(execute(migrated, f"CREATE ROLE {name} LOGIN"))
    yield name
    asyncio.run(execute(migrated, f"GRANT {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}"))


def value(dsn: str, query: str) -> object:
    async def read() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(read())


def oid(dsn: str) -> object:
    return value(dsn, f"SELECT '{VIEW}'::regclass::oid::bigint")


def test_views_of_this_text_are_left_alone_and_others_are_made_anew(
    migrated: str, changed: migrate.Scripts
) -> None:
    first = oid(migrated)
    migrate.up(migrated)
    assert oid(migrated) == first
    assert migrate.status(migrated, changed).pending == (migrate.VIEWS,)
    migrate.up(migrated, changed)
    assert oid(migrated) != first
    assert migrate.status(migrated, changed).pending == ()
    assert migrate.status(migrated).pending == (migrate.VIEWS,)


def test_rights_on_a_view_outlive_it(migrated: str, changed: migrate.Scripts, role: str) -> None:
    granted = f"GRANT SELECT ON {VIEW} TO {role} WITH GRANT OPTION; GRANT SELECT ON {VIEW} TO PUBLIC"
    asyncio.run(execute(migrated, granted))
    rights = "SELECT relacl::text FROM pg_class WHERE relname = 'campaign_stats'"
    before = value(migrated, rights)
    migrate.up(migrated, changed)
    assert value(migrated, rights) == before
    assert role in str(before)


def test_a_view_that_somebody_dropped_comes_back(migrated: str) -> None:
    asyncio.run(execute(migrated, f"DROP VIEW {VIEW}"))
    assert migrate.status(migrated).pending == (migrate.VIEWS,)
    migrate.up(migrated)
    assert migrate.status(migrated).pending == ()


def test_a_column_that_is_missing_is_added_and_every_row_sent_again(migrated: str) -> None:
    asyncio.run(execute(migrated, f"ALTER TABLE tally.counters DROP COLUMN talk_ms CASCADE; {PROGRESS}"))
    migrate.up(migrated)
    assert value(migrated, "SELECT count(talk_ms) FROM tally.counters") == 0
    assert value(migrated, "SELECT columns FROM tally.sink_progress") == ""


def test_rows_are_not_sent_again_for_views_alone(migrated: str, changed: migrate.Scripts) -> None:
    asyncio.run(execute(migrated, PROGRESS))
    migrate.up(migrated, changed)
    assert value(migrated, "SELECT columns FROM tally.sink_progress") == "known"


def test_a_version_that_knows_fewer_counters_leaves_the_database_alone_and_says_so(
    migrated: str, changed: migrate.Scripts
) -> None:
    asyncio.run(execute(migrated, "ALTER TABLE tally.counters ADD COLUMN shouted bigint NOT NULL DEFAULT 0"))
    first = oid(migrated)
    with pytest.raises(migrate.MigrationError, match=r"does not know: shouted \(a newer version"):
        migrate.up(migrated, changed)
    assert oid(migrated) == first


def test_a_part_of_the_key_that_is_missing_is_added_to_it(migrated: str) -> None:
    narrow = """
    ALTER TABLE tally.counters DROP CONSTRAINT counters_pkey;
    ALTER TABLE tally.counters DROP COLUMN grain CASCADE;
    ALTER TABLE tally.counters
        ADD PRIMARY KEY (generation, tenant, campaign, template_name, template_language, partition);
    """
    key = "SELECT cardinality(conkey) FROM pg_constraint WHERE conname = 'counters_pkey'"
    asyncio.run(execute(migrated, narrow))
    assert value(migrated, key) == 6
    migrate.up(migrated)
    assert value(migrated, key) == 7


def test_views_that_meet_a_lock_are_made_once_it_is_gone(migrated: str, changed: migrate.Scripts) -> None:
    async def rendered_beside_a_reader() -> None:
        holder = await asyncpg.connect(migrated)
        try:
            async with holder.transaction():
                await holder.fetch(f"SELECT * FROM {VIEW}")  # noqa: S608 - a name of ours
                rendering = asyncio.create_task(asyncio.to_thread(migrate.up, migrated, changed, 60.0))
                await asyncio.sleep(1.0)
                assert not rendering.done()
            await rendering
        finally:
            await holder.close()

    asyncio.run(rendered_beside_a_reader())
    assert migrate.status(migrated, changed).pending == ()


def test_two_that_render_at_once_wait_for_each_other(migrated: str, changed: migrate.Scripts) -> None:
    async def twice() -> None:
        await asyncio.gather(*(asyncio.to_thread(migrate.up, migrated, changed) for _ in range(2)))

    asyncio.run(twice())
    assert migrate.status(migrated, changed).pending == ()
