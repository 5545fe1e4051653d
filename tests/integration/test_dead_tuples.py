"""What `tally doctor` reads of dead tuples on a real Postgres: tables, autovacuum, and who keeps them."""

import asyncio

import asyncpg
import pytest

from tally.deploy import migrate
from tally.streams.operations import dead_tuples
from tally.streams.operations.dead_tuples import NotVacuumed
from tests.support.servers import execute

pytestmark = pytest.mark.asyncio

FILLED = """
INSERT INTO tally.activity_sums (generation, tenant, campaign, quarter, partition)
SELECT 1, 't1', 'c1', now() + nth * interval '15 minutes', 0 FROM generate_series(1, 15000) AS nth;
"""
REWRITTEN = "UPDATE tally.activity_sums SET read = read + 1"
TOLD = "SELECT pg_stat_force_next_flush()"
"""Statistics of a session reach the others at once, not within a second."""


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


async def judged(connection: asyncpg.Connection) -> str:
    return dead_tuples.judged(*await dead_tuples.looked_up(connection))


async def test_dead_tuples_are_seen_until_they_are_taken_away_and_so_is_who_keeps_them(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, other = await asyncpg.connect(migrated), await asyncpg.connect(migrated)
    try:
        assert "at most" in await judged(connection)
        await connection.execute("ALTER TABLE tally.activity_sums SET (autovacuum_enabled = false)")
        with pytest.raises(NotVacuumed, match=r"^autovacuum is switched off for activity_sums"):
            await judged(connection)
        await connection.execute(FILLED)
        transaction = other.transaction(isolation="repeatable_read")
        await transaction.start()
        assert await other.fetchval("SELECT count(*) FROM tally.activity_sums") == 15_000
        await connection.execute(REWRITTEN)
        await connection.execute(TOLD)
        with pytest.raises(NotVacuumed, match=r"^activity_sums has 15,000 of them, 50%; autovacuum is"):
            await judged(connection)
        await connection.execute("ALTER TABLE tally.activity_sums RESET (autovacuum_enabled)")
        monkeypatch.setattr(dead_tuples, "HELD_SECONDS", -1.0)
        pid = await other.fetchval("SELECT pg_backend_pid()")
        await execute(migrated, "VACUUM tally.activity_sums")
        with pytest.raises(
            NotVacuumed, match=rf"50%; the transaction of process {pid}, open for 0 minutes, keeps"
        ):
            await judged(connection)
        await transaction.rollback()
        await execute(migrated, "VACUUM tally.activity_sums")
        async with asyncio.timeout(10.0):
            while "at most" not in (said := await heard(connection)):
                assert "50%" in said
    finally:
        await other.close()
        await connection.close()


async def test_a_lock_that_keeps_autovacuum_away_is_seen(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_tuples, "HELD_SECONDS", -1.0)
    connection, other = await asyncpg.connect(migrated), await asyncpg.connect(migrated)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE tally.counters IN ROW EXCLUSIVE MODE")
            assert "at most" in await judged(connection)
            await other.execute("LOCK TABLE tally.cells IN SHARE UPDATE EXCLUSIVE MODE")
            with pytest.raises(NotVacuumed, match=r"keeps what died since: end it$"):
                await judged(connection)
    finally:
        await other.close()
        await connection.close()


async def heard(connection: asyncpg.Connection) -> str:
    """What is said, whichever it is; VACUUM's own count may come a moment later."""
    try:
        return await judged(connection)
    except NotVacuumed as error:
        return str(error)
