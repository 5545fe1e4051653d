"""The flush on a real Postgres recovers by itself from any failure of either side."""

import asyncio
import time
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tally.agents.flush.partition import FOREIGN_STORE
from tally.agents.flush.ports import FlushConfig
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.tables.postgres.database import Database
from tally.tables.postgres.writer import Writer
from tests.support.flush_doubles import DEFAULT, CommittedRows, Hands, key, row

HELD = "SELECT campaign, next_offset, accepted FROM tally.counters WHERE partition = $1"
PROGRESS = "SELECT next_offset FROM tally.flush_progress WHERE partition = $1"


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


class Process:
    """A feed and a flush to a real Postgres, and somebody who looks into it."""

    def __init__(self, database: Database, dsn: str, partitions: Set[int], config: FlushConfig) -> None:
        self.dsn = dsn
        self.feed = CommittedRows()
        self.hands = Hands(self.feed, Writer(database, 1), partitions, config)

    async def sql(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(found) for found in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    async def is_exact(self, partition: int = 0) -> bool:
        feed = self.feed.progress(partition)
        expected = {
            (name.campaign, value.next_offset, value.counts.get("accepted", 0))
            for name, value in self.feed.rows(partition).items()
        }
        return (
            feed is not None
            and set(await self.sql(HELD, partition)) == expected
            and await self.sql(PROGRESS, partition) == [(feed.next_offset,)]
        )


@asynccontextmanager
async def process(
    dsn: str, partitions: Set[int] = frozenset({0}), config: FlushConfig = DEFAULT, **limits: Any
) -> AsyncIterator[Process]:
    database = await Database.open(dsn, **limits)
    try:
        yield Process(database, dsn, partitions, config)
    finally:
        await database.close()


@pytest.mark.asyncio
async def test_every_partition_gets_its_rows_in_one_tick(migrated: str) -> None:
    async with process(migrated, frozenset(range(8)), FlushConfig(max_rows=100)) as ours:
        for partition in range(8):
            ours.feed.count(partition, 10, *(f"c{n}" for n in range(250)))
        await ours.hands.tick()
        assert all([await ours.is_exact(partition) for partition in range(8)])
        assert ours.hands.heard.state_of == (0, 0, 0.0)


@pytest.mark.asyncio
async def test_a_restored_dump_heals_with_the_next_tick_although_nothing_is_dirty(migrated: str) -> None:
    async with process(migrated) as ours:
        ours.feed.count(0, 10, "a", "b")
        await ours.hands.tick()
        await ours.sql("CREATE TABLE rows_then AS TABLE tally.counters")
        await ours.sql("CREATE TABLE progress_then AS TABLE tally.flush_progress")
        ours.feed.count(0, 20, "b", "c")
        await ours.hands.tick()
        await ours.sql("TRUNCATE tally.counters, tally.flush_progress")
        await ours.sql("INSERT INTO tally.counters TABLE rows_then")
        await ours.sql("INSERT INTO tally.flush_progress TABLE progress_then")
        assert not await ours.is_exact()
        await ours.hands.tick()
        assert await ours.is_exact()


@pytest.mark.asyncio
async def test_a_dump_from_before_everything_heals_with_the_next_tick(migrated: str) -> None:
    async with process(migrated, config=FlushConfig(max_rows=2)) as ours:
        ours.feed.count(0, 10, "a", "b", "c", "d", "e")
        await ours.hands.tick()
        await ours.sql("TRUNCATE tally.counters, tally.flush_progress, tally.current_generation")
        await ours.hands.tick()
        assert await ours.is_exact()
        assert await ours.sql("SELECT generation FROM tally.current_generation") == [(1,)]
        assert "moved" in ours.hands.heard.failures


@pytest.mark.asyncio
async def test_rows_that_somebody_rolled_back_come_again_when_their_progress_is_deleted(
    migrated: str,
) -> None:
    async with process(migrated) as ours:
        ours.feed.count(0, 10, "a", "b")
        await ours.hands.tick()
        await ours.sql("UPDATE tally.counters SET accepted = 1, next_offset = 1 WHERE campaign = 'a'")
        await ours.sql("DELETE FROM tally.flush_progress")
        await ours.hands.tick()
        assert await ours.is_exact()


@pytest.mark.asyncio
async def test_a_restart_sends_what_changed_since_flush_progress_and_nothing_else(migrated: str) -> None:
    async with process(migrated) as ours:
        ours.feed.count(0, 10, "a", "b")
        await ours.hands.tick()
    async with process(migrated) as again:
        again.feed.count(0, 5, "a")
        again.feed.commit(0, 10, {key("a"): row(9, accepted=10), key("b"): row(10, accepted=10)})
        again.feed.count(0, 20, "c")
        await again.hands.tick()
        assert [rows for rows, _ in again.hands.heard.flushes] == [2]
        assert await again.sql("SELECT campaign, accepted FROM tally.counters ORDER BY 1") == [
            ("a", 10),
            ("b", 10),
            ("c", 20),
        ]


@pytest.mark.asyncio
async def test_a_zombie_with_older_rows_changes_nothing_and_another_flusher_is_taken_over_from(
    migrated: str,
) -> None:
    async with process(migrated) as ours, process(migrated) as zombie:
        for one in (ours, zombie):
            one.feed.count(0, 10, "a", "b")
            await one.hands.tick()
        zombie.feed.count(0, 15, "a")
        ours.feed.count(0, 15, "a")
        ours.feed.count(0, 20, "a", "b")
        await ours.hands.tick()
        await zombie.hands.tick()
        assert await ours.is_exact()
        zombie.feed.count(0, 20, "a", "b")
        zombie.feed.count(0, 30, "b")
        await zombie.hands.tick()
        ours.feed.count(0, 30, "b")
        await ours.hands.tick()
        assert await ours.is_exact()


@pytest.mark.asyncio
async def test_a_lost_reply_to_commit_counts_once(migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with process(migrated) as ours:
        ours.feed.count(0, 10, "a", "b")
        with monkeypatch.context() as patched:
            patched.setattr("asyncpg.Connection.execute", losing_the_reply(asyncpg.Connection.execute))
            await ours.hands.tick()
        assert ours.hands.heard.failures == ["08"]
        assert await ours.sql("SELECT campaign, accepted FROM tally.counters ORDER BY 1") == [
            ("a", 10),
            ("b", 10),
        ]
        ours.feed.count(0, 20, "b")
        await ours.hands.tick()
        assert await ours.is_exact()


def losing_the_reply(execute: Any) -> Any:
    """Let each COMMIT but the first, which only read, reach the server and its reply nobody."""
    commits = 0

    async def executed(connection: Any, query: str, *arguments: Any, **options: Any) -> str:
        nonlocal commits
        status: str = await execute(connection, query, *arguments, **options)
        commits += query == "COMMIT"
        if query == "COMMIT" and commits == 2:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return status

    return executed


@pytest.mark.alone
@pytest.mark.asyncio
async def test_one_unstorable_row_is_reported_and_all_others_arrive(migrated: str) -> None:
    async with process(migrated) as ours:
        ours.feed.count(0, 10, *(f"c{n}" for n in range(999)), "nul\0")
        began = time.monotonic()
        await ours.hands.tick()
        assert time.monotonic() - began < 5.0
        assert await ours.sql("SELECT count(*) FROM tally.counters") == [(999,)]
        assert ours.hands.heard.state_of[:2] == (0, 1)
        assert ours.hands.heard.failures == ["22"]
        assert await ours.sql(PROGRESS, 0) == [(0,)]


@pytest.mark.asyncio
async def test_a_locked_row_delays_its_partition_alone(migrated: str) -> None:
    async with process(migrated, frozenset({0, 1}), lock_seconds=0.2) as ours:
        for partition in (0, 1):
            ours.feed.count(partition, 10, "a")
        await ours.hands.tick()
        connection = await asyncpg.connect(migrated)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE tally.counters SET updated_at = now() WHERE partition = 0")
        for partition in (0, 1):
            ours.feed.count(partition, 20, "a")
        await ours.hands.tick()
        assert ours.hands.heard.failures == ["55"]
        assert await ours.is_exact(1)
        assert not await ours.is_exact(0)
        await transaction.rollback()
        await connection.close()
        await ours.hands.tick()
        assert await ours.is_exact(0)


@pytest.mark.asyncio
async def test_a_role_without_right_is_told_and_heals_when_granted(migrated: str) -> None:
    async with process(migrated) as ours:
        await ours.sql("REVOKE INSERT ON tally.counters FROM CURRENT_USER")
        ours.feed.count(0, 10, "a")
        await ours.hands.tick()
        assert ours.hands.flush.troubles() == ["partition 0: 42501: permission denied for table counters"]
        await ours.sql("GRANT INSERT ON tally.counters TO CURRENT_USER")
        await ours.hands.tick()
        assert ours.hands.flush.troubles() == []
        assert await ours.is_exact()


@pytest.mark.asyncio
async def test_a_worker_that_was_there_before_the_migration_goes_on_by_itself_after_it(
    database: str,
) -> None:
    async with process(database) as ours:
        ours.feed.count(0, 10, "a")
        await ours.hands.tick()
        assert ours.hands.flush.troubles()[0].startswith("42P01")
        migrate.up(database)
        await ours.hands.tick()
        assert await ours.is_exact()


@pytest.mark.asyncio
async def test_rows_of_an_older_writer_are_sent_again_by_one_that_knows_more_counters(migrated: str) -> None:
    async with process(migrated) as ours:
        ours.feed.commit(0, 10, {key("a"): row(9, accepted=10)})
        await ours.hands.tick()
        await ours.sql("UPDATE tally.counters SET clicked = 0, accepted = 0")
        await ours.sql("UPDATE tally.flush_progress SET columns = 'of an older writer'")
    async with process(migrated) as newer:
        newer.feed.commit(0, 10, {key("a"): row(9, accepted=10)})
        await newer.hands.tick()
        assert await newer.is_exact()


@pytest.mark.asyncio
async def test_rows_of_another_store_are_left_alone_and_the_way_out_is_said(migrated: str) -> None:
    async with process(migrated) as ours:
        ours.feed.count(0, 50, "a")
        await ours.hands.tick()
    async with process(migrated) as foreign:
        foreign.feed.store_id = "s2"
        foreign.feed.count(0, 60, "a")
        await foreign.hands.tick()
        assert foreign.hands.flush.troubles() == [f"partition 0: {FOREIGN_STORE}"]
        assert await foreign.sql(HELD, 0) == [("a", 50, 50)]


@pytest.mark.asyncio
async def test_an_immediate_stop_loses_nothing_and_the_flush_goes_on_when_postgres_is_back(
    tmp_path: Path,
) -> None:
    server = LocalPostgres.start(tmp_path, port=0)
    try:
        migrate.up(server.dsn)
        async with process(server.dsn, deadline_seconds=2.0) as ours:
            for offset in range(10, 60, 10):
                ours.feed.count(0, offset, "a", f"c{offset}")
                await ours.hands.tick()
                await asyncio.to_thread(server.stop_immediately)
                ours.feed.count(0, offset + 5, "a")
                await ours.hands.tick()
                assert ours.hands.flush.troubles()
                await asyncio.to_thread(server.restart)
                began = time.monotonic()
                while not await ours.is_exact():
                    await ours.hands.tick()
                assert time.monotonic() - began < 10.0
    finally:
        server.stop()


@pytest.mark.alone
@pytest.mark.asyncio
async def test_a_wire_that_goes_dead_ends_in_a_deadline_and_the_flush_recovers(migrated: str) -> None:
    async with Wire(migrated) as wire, process(wire.dsn, deadline_seconds=0.5) as ours:
        ours.feed.count(0, 10, "a")
        await ours.hands.tick()
        wire.stalled = True
        ours.feed.count(0, 20, "a", "b")
        began = time.monotonic()
        await ours.hands.tick()
        assert time.monotonic() - began < 2.0
        assert ours.hands.heard.failures == ["timeout"]
        wire.stalled = False
        await ours.hands.tick()
        assert await ours.is_exact()


class Wire:
    """A TCP proxy before Postgres that can swallow everything."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.stalled = False

    async def __aenter__(self) -> "Wire":
        credentials, _, rest = self._dsn.rpartition("@")
        address, _, self._database = rest.partition("/")
        self._host, _, self._port = address.partition(":")
        self._pumps: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.dsn = f"{credentials}@127.0.0.1:{port}/{self._database}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(self._host, int(self._port))
        for source, target in ((reader, ours), (theirs, writer)):
            pump = asyncio.create_task(self._pump(source, target))
            self._pumps.add(pump)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                if not self.stalled:
                    target.write(data)
                    await target.drain()
        finally:
            target.close()
