"""The migrations runner, on a real PostgreSQL."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import asyncpg
import pytest

from tally.deploy import migrate

FIRST = """-- migrate:up
CREATE SCHEMA IF NOT EXISTS tally;
CREATE TABLE tally.first (n int);
-- migrate:down
DROP TABLE tally.first;
"""
SECOND = """-- migrate:up
CREATE TABLE tally.second (n int);
-- migrate:down
DROP TABLE tally.second;
"""


@pytest.fixture
def scripts(tmp_path: Path) -> migrate.Scripts:
    (tmp_path / "0001_first.sql").write_text(FIRST)
    (tmp_path / "0002_second.sql").write_text(SECOND)
    return migrate.Scripts(tmp_path, None)


async def tables(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'tally' ORDER BY 1")
    finally:
        await connection.close()
    return [row["tablename"] for row in rows]


def test_up_applies_all_and_down_takes_back_the_newest(database: str, scripts: migrate.Scripts) -> None:
    assert migrate.status(database, scripts) == migrate.MigrationStatus((), ("0001", "0002"))
    migrate.up(database, scripts)
    assert migrate.status(database, scripts) == migrate.MigrationStatus(("0001", "0002"), ())
    assert asyncio.run(tables(database)) == ["first", "schema_migrations", "second"]
    migrate.down(database, scripts)
    assert migrate.status(database, scripts) == migrate.MigrationStatus(("0001",), ("0002",))
    assert asyncio.run(tables(database)) == ["first", "schema_migrations"]


def test_up_again_changes_nothing_and_writes_no_file(database: str, scripts: migrate.Scripts) -> None:
    migrate.up(database, scripts)
    migrate.up(database, scripts)
    assert sorted(path.name for path in scripts.migrations.iterdir()) == ["0001_first.sql", "0002_second.sql"]


def test_two_that_migrate_at_once_wait_for_each_other(database: str, scripts: migrate.Scripts) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(migrate.up, database, scripts) for _ in range(2)]:
            done.result()
    assert migrate.status(database, scripts).pending == ()


def test_a_failing_migration_is_named_and_leaves_nothing_behind(
    database: str, scripts: migrate.Scripts
) -> None:
    (scripts.migrations / "0003_third.sql").write_text(
        "-- migrate:up\nCREATE TABLE tally.third (n int); SELECT 1 / 0;\n-- migrate:down\n"
    )
    with pytest.raises(migrate.MigrationError, match="division by zero"):
        migrate.up(database, scripts)
    assert migrate.status(database, scripts).pending == ("0003",)
    assert "third" not in asyncio.run(tables(database))


def test_a_migration_older_than_an_applied_one_is_refused(database: str, scripts: migrate.Scripts) -> None:
    first = scripts.migrations / "0001_first.sql"
    first.rename(scripts.migrations / "kept.txt")
    (scripts.migrations / "0002_second.sql").write_text("-- migrate:up\nSELECT 1;\n-- migrate:down\n")
    migrate.up(database, scripts)
    (scripts.migrations / "kept.txt").rename(first)
    with pytest.raises(migrate.MigrationError, match="out of order"):
        migrate.up(database, scripts)


def test_a_migration_ends_at_its_deadline_and_its_command_line_shows_no_password(
    database: str, scripts: migrate.Scripts
) -> None:
    (scripts.migrations / "0003_slow.sql").write_text(
        "-- migrate:up\nSELECT pg_sleep(30);\n-- migrate:down\n"
    )
    password = str(urlsplit(database).password)
    with ThreadPoolExecutor(1) as pool:
        began = monotonic()
        slow = pool.submit(migrate.up, database, scripts, 1.0)
        lines = watch_command_lines(str(scripts.migrations), until=slow.done)
        with pytest.raises(migrate.MigrationError, match="timed out") as caught:
            slow.result()
    assert monotonic() - began < 10
    assert any("dbmate" in line for line in lines)
    assert password not in "".join(lines) + str(caught.value)


def test_a_migration_that_meets_a_lock_lets_others_through_and_is_tried_again(
    database: str, scripts: migrate.Scripts
) -> None:
    migrate.up(database, scripts)
    (scripts.migrations / "0003_wider.sql").write_text(
        "-- migrate:up\nSET LOCAL lock_timeout = '100ms';\nALTER TABLE tally.first ADD COLUMN m int;\n"
        "-- migrate:down\n"
    )

    async def migrated_beside_a_reader() -> float:
        holder, other = await asyncpg.connect(database), await asyncpg.connect(database)
        try:
            reading = holder.transaction()
            await reading.start()
            await holder.fetch("SELECT * FROM tally.first")
            migrating = asyncio.create_task(asyncio.to_thread(migrate.up, database, scripts, 60.0))
            waited = []
            for _ in range(20):
                await asyncio.sleep(0.05)
                began = monotonic()
                await other.execute("INSERT INTO tally.first VALUES (1)")
                waited.append(monotonic() - began)
            assert not migrating.done()
            await reading.rollback()
            await migrating
            return max(waited)
        finally:
            await holder.close()
            await other.close()

    assert asyncio.run(migrated_beside_a_reader()) < 5.0
    assert migrate.status(database, scripts).pending == ()


def test_a_lock_that_is_held_beyond_the_deadline_is_named(database: str, scripts: migrate.Scripts) -> None:
    migrate.up(database, scripts)
    (scripts.migrations / "0003_wider.sql").write_text(
        "-- migrate:up\nSET LOCAL lock_timeout = '100ms';\nALTER TABLE tally.first ADD COLUMN m int;\n"
        "-- migrate:down\n"
    )

    async def held() -> None:
        holder = await asyncpg.connect(database)
        try:
            async with holder.transaction():
                await holder.fetch("SELECT * FROM tally.first")
                await asyncio.to_thread(migrate.up, database, scripts, 5.0)
        finally:
            await holder.close()

    with pytest.raises(migrate.MigrationError, match="holds a lock on Tally's tables"):
        asyncio.run(held())


def test_the_views_wait_for_a_lock_for_three_seconds_at_most() -> None:
    assert migrate.SCRIPTS.views is not None
    assert "\nSET LOCAL lock_timeout = '3s';\n" in migrate.SCRIPTS.views.read_text()


@pytest.mark.parametrize("path", sorted(migrate.SCRIPTS.migrations.glob("*.sql")), ids=lambda path: path.stem)
def test_each_migration_waits_for_a_lock_for_three_seconds_at_most(path: Path) -> None:
    for section in path.read_text().split("-- migrate:")[1:]:
        assert section.split("\n")[1] == "SET LOCAL lock_timeout = '3s';"


def watch_command_lines(word: str, until: Callable[[], bool]) -> set[str]:
    seen: set[str] = set()
    while not until():
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(entry.read_bytes().decode("utf-8", "replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return {line for line in seen if word in line}


@pytest.mark.parametrize(
    ("dsn", "query"),
    [
        ("postgresql://u:p@127.0.0.1/db", "connect_timeout=10&sslmode=disable"),
        ("postgresql://u:p@[::1]/db", "connect_timeout=10&sslmode=disable"),
        ("postgresql://u:p@localhost/db?sslmode=require", "sslmode=require&connect_timeout=10"),
        ("postgresql://u:p@db.internal/db", "connect_timeout=10"),
    ],
)
def test_tls_is_left_out_only_on_loopback_and_where_nothing_is_said(dsn: str, query: str) -> None:
    assert urlsplit(migrate.migration_url(dsn)).query == query


@pytest.mark.parametrize("written", ["s3cret%2Fpart", "s3cret/part"])
def test_no_form_of_the_password_is_in_an_error(written: str) -> None:
    dsn = "postgresql://u:s3cret%2Fpart@h/db"
    assert "s3cret" not in migrate.redact(f"cannot connect: {written} at {dsn}", dsn)


def test_what_is_no_url_is_refused_without_showing_it() -> None:
    with pytest.raises(migrate.MigrationError, match=r"^the DSN is not a URL$"):
        migrate.status("postgresql://u:s3cret@[::1/db")


def test_an_unreachable_database_is_an_error_of_migrations() -> None:
    with pytest.raises(migrate.MigrationError, match="refused"):
        migrate.up("postgresql://u:s3cret@127.0.0.1:1/db")
