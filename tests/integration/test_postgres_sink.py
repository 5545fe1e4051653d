"""The sink on a real Postgres, with logs in memory, recovers by itself from any failure of either side."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tally.agents.sink.cuts import Bounds
from tally.agents.sink.partition import PartitionSink
from tally.agents.sink.ports import SinkConfig
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.grains import RowKey
from tally.schemas.rows import decode_row
from tally.tables.postgres.database import Database
from tally.tables.postgres.kind import Kind
from tally.tables.postgres.sieve import BY_NAME, KINDS
from tally.tables.postgres.writer import Writer
from tally.tables.store.errors import ForeignRecord
from tests.support.sink_doubles import DEFAULT, Hands, Life, counted, key
from tests.support.sink_logs import Partition

pytestmark = pytest.mark.asyncio

HELD = "SELECT campaign, accepted FROM tally.counters WHERE partition = $1"
CUT = "SELECT seq FROM tally.cuts WHERE partition = $1 AND NOT catching_up"
TABLES = ("counters", "sink_progress", "withheld")


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


class Process:
    """A partition, its sink to a real Postgres, and somebody who looks into it."""

    def __init__(
        self,
        database: Database,
        dsn: str,
        partition: Partition,
        config: SinkConfig,
        kinds: Sequence[Kind],
        generation: int = 1,
    ) -> None:
        self.dsn = dsn
        self.partition = partition
        writer = Writer(database, generation, kinds={**BY_NAME, **{kind.name: kind for kind in kinds}})
        self.hands = Hands({0: partition}, writer, config, kinds=kinds)
        self.life = Life(self.hands, config=config)

    async def sql(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(found) for found in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    async def is_exact(self) -> bool:
        expected = {
            (RowKey.decode(name).campaign, decode_row(value).counts.get("accepted", 0))
            for (_, name), value in self.partition.moments[self.partition.seq].items()
        }
        held = set(await self.sql(HELD, 0))
        return held == expected and await self.is_cut()

    async def is_cut(self) -> bool:
        """Whether Postgres holds the newest transaction's moment, but for what is withheld."""
        return await self.sql(CUT, 0) == [(self.partition.seq,)]

    async def run(self, until: Callable[[], bool] | None = None, seconds: float = 0.3) -> None:
        """Run the sink until something is so, or for a while; its clock is twenty times as fast."""
        ends_s = time.monotonic() + seconds
        await self.life.run(until or (lambda: time.monotonic() > ends_s), 0.04, 10_000, 0.002)

    async def run_until_exact(self, seconds: float = 10.0) -> None:
        await self._run_until(self.is_exact, seconds)

    async def run_until_cut(self, seconds: float = 10.0) -> None:
        await self._run_until(self.is_cut, seconds)

    async def _run_until(self, reached: Callable[[], Awaitable[bool]], seconds: float) -> None:
        began = time.monotonic()
        while not await reached():
            assert time.monotonic() - began < seconds, self.life.task.trouble
            await self._run_until_level(self.life.task.current)

    async def _run_until_level(self, before: PartitionSink | None) -> None:
        """Let the sink open the partition and write all it knows of, for three seconds at most."""
        ends_s = time.monotonic() + 3.0

        def is_level() -> bool:
            current = self.life.task.current
            is_open = current is not None and current is not before
            return (is_open and not current.is_behind) or time.monotonic() > ends_s  # type: ignore[union-attr]

        await self.run(is_level)


@asynccontextmanager
async def process(
    dsn: str,
    partition: Partition | None = None,
    config: SinkConfig = DEFAULT,
    kinds: Sequence[Kind] = KINDS,
    generation: int = 1,
    **limits: Any,
) -> AsyncIterator[Process]:
    database = await Database.open(dsn, **limits)
    try:
        yield Process(database, dsn, partition or Partition(), config, kinds, generation)
    finally:
        await database.close()


async def dumped(ours: Process) -> None:
    for table in TABLES:
        await ours.sql(f"CREATE TABLE {table}_then AS TABLE tally.{table}")


async def restored(ours: Process) -> None:
    await ours.sql(f"TRUNCATE {', '.join(f'tally.{table}' for table in TABLES)}")
    for table in TABLES:
        await ours.sql(f"INSERT INTO tally.{table} TABLE {table}_then")


async def test_rows_come_change_and_go(migrated: str) -> None:
    async with process(migrated) as ours:
        counted(ours.partition, *(f"c{n}" for n in range(250)))
        await ours.run_until_exact()
        ours.partition.commit({key("c7").encode(): None, key("never").encode(): None})
        counted(ours.partition, "c8")
        await ours.run_until_exact()
        assert await ours.sql("SELECT count(*) FROM tally.counters") == [(249,)]


async def test_a_dump_that_is_restored_heals_and_leaves_nothing_that_is_gone(migrated: str) -> None:
    async with process(migrated) as ours:
        counted(ours.partition, "a", "b")
        await ours.run_until_exact()
        await dumped(ours)
        ours.partition.commit({key("a").encode(): None})
        counted(ours.partition, "b", "c")
        await ours.run_until_exact()
        await restored(ours)
        assert not await ours.is_exact()
        await ours.run_until_exact()


async def test_a_dump_from_before_everything_heals(migrated: str) -> None:
    async with process(migrated) as ours:
        counted(ours.partition, "a", "b", "c", "d", "e")
        await ours.run_until_exact()
        await ours.sql("TRUNCATE tally.counters, tally.sink_progress, tally.current_generation")
        await ours.run_until_exact()
        assert await ours.sql("SELECT generation FROM tally.current_generation") == [(1,)]


async def test_rows_that_somebody_rolled_back_come_again_when_their_progress_is_deleted(
    migrated: str,
) -> None:
    async with process(migrated) as ours:
        counted(ours.partition, "a", "b")
        await ours.run_until_exact()
        await ours.sql("UPDATE tally.counters SET accepted = 9 WHERE campaign = 'a'")
        await ours.sql("UPDATE tally.counters SET campaign = 'stray' WHERE campaign = 'b'")
        await ours.sql("DELETE FROM tally.sink_progress")
        assert not await ours.is_exact()
        await ours.run_until_exact()
        assert await ours.sql("SELECT campaign, accepted FROM tally.counters ORDER BY campaign") == [
            ("a", 1),
            ("b", 1),
        ]


async def test_a_restart_writes_what_has_changed_and_nothing_else(migrated: str) -> None:
    async with process(migrated) as ours:
        counted(ours.partition, "a", "b")
        await ours.run_until_exact()
        async with process(migrated, ours.partition) as again:
            counted(ours.partition, "c")
            await again.run_until_exact()
            assert sum(again.hands.heard.transactions) == 1


async def test_a_lost_reply_to_each_third_commit_counts_once(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SinkConfig(0.8, Bounds(most_entries=20), DEFAULT.ours)
    async with process(migrated, config=small) as ours:
        with monkeypatch.context() as patched:
            patched.setattr("asyncpg.Connection.execute", losing_replies(asyncpg.Connection.execute))
            for n in range(40):
                counted(ours.partition, f"c{n}", f"c{n % 7}")
                await ours.run(seconds=0.1)
        assert set(ours.hands.heard.failures) == {"08"}
        await ours.run_until_exact()


def losing_replies(execute: Any) -> Any:
    """Let each third COMMIT reach the server, and its reply nobody."""
    commits = 0

    async def executed(connection: Any, query: str, *arguments: Any, **options: Any) -> str:
        nonlocal commits
        status: str = await execute(connection, query, *arguments, **options)
        commits += query == "COMMIT"
        if query == "COMMIT" and commits % 3 == 0:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return status

    return executed


async def test_two_sinks_in_turns_leave_what_the_log_says_and_a_paused_one_writes_nothing(
    migrated: str,
) -> None:
    async with process(migrated) as ours, process(migrated, ours.partition) as theirs:
        for n in range(6):
            counted(ours.partition, f"c{n}", "a")
            active, paused = (ours, theirs) if n % 2 else (theirs, ours)
            await active.run_until_exact()
            counted(ours.partition, "a")
            await asyncio.gather(active.run(), paused.run())
            await paused.run_until_exact()
    assert ours.hands.heard.transactions
    assert theirs.hands.heard.transactions


async def test_what_is_refused_is_withheld_and_its_campaign_says_so(migrated: str) -> None:
    shown = "SELECT campaign, accepted, withheld FROM tally.campaign_stats ORDER BY 1"
    async with process(migrated) as ours:
        await ours.sql("ALTER TABLE tally.counters ADD CONSTRAINT strange CHECK (template_name <> 'odd')")
        odd = RowKey("t1", "a", key().template and type(key().template)("odd", "en"))  # type: ignore[misc]
        counted(ours.partition, "a", "b")
        value = ours.partition.moments[1]["rows", key("a").encode()]
        ours.partition.commit({odd.encode(): value})
        await ours.run_until_cut()
        assert await ours.sql(shown) == [("a", 1, 1), ("b", 1, 0)]
        assert await ours.sql("SELECT withheld, catching_up FROM tally.cuts") == [(1, False)]
        assert await ours.sql("SELECT sqlstate, value FROM tally.withheld") == [("23514", value)]
        await ours.sql("ALTER TABLE tally.counters DROP CONSTRAINT strange")
        counted(ours.partition, "b")
        await ours.run_until_cut()
        assert await ours.sql(shown) == [("a", 2, 0), ("b", 3, 0)]


@pytest.mark.parametrize("name", [b"no row", key().encode()])
async def test_what_is_no_row_ends_the_sink_by_name_and_nothing_is_written(
    migrated: str, name: bytes
) -> None:
    async with process(migrated) as ours:
        ours.partition.commit({name: b"?"})
        with pytest.raises(ForeignRecord, match=r"not Tally's \(no row: "):
            await ours.run(seconds=5.0)
        assert await ours.sql(HELD, 0) == []


async def test_answers_say_that_a_sink_is_catching_up(migrated: str) -> None:
    small = SinkConfig(0.8, Bounds(most_entries=1_000), DEFAULT.ours)
    shown = "SELECT DISTINCT catching_up FROM tally.campaign_stats"
    async with process(migrated, config=small) as ours:
        for n in range(6):
            counted(ours.partition, *(f"c{n}-{m}" for m in range(500)))
        await ours.run(lambda: sum(ours.hands.heard.transactions) >= 1_000)
        assert await ours.sql(shown) == [(True,)]
        assert await ours.sql(CUT, 0) == []
        await ours.run_until_exact()
        assert await ours.sql(shown) == [(False,)]


async def test_a_locked_row_delays_and_loses_nothing(migrated: str) -> None:
    async with process(migrated, lock_seconds=0.2) as ours:
        counted(ours.partition, "a")
        await ours.run_until_exact()
        connection = await asyncpg.connect(migrated)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE tally.counters SET updated_at = now() WHERE partition = 0")
        counted(ours.partition, "a")
        await until_failed(ours, "55")
        assert not await ours.is_exact()
        await transaction.rollback()
        await connection.close()
        await ours.run_until_exact()


async def until_failed(ours: Process, group: str) -> None:
    began = time.monotonic()
    while group not in ours.hands.heard.failures:
        assert time.monotonic() - began < 10.0
        await ours.run()


async def test_a_role_without_right_is_told_and_heals_when_granted(migrated: str) -> None:
    async with process(migrated) as ours:
        await ours.sql("REVOKE INSERT ON tally.counters FROM CURRENT_USER")
        counted(ours.partition, "a")
        await until_failed(ours, "42")
        assert ours.life.task.trouble == "42501: permission denied for table counters"
        await ours.sql("GRANT INSERT ON tally.counters TO CURRENT_USER")
        await ours.run_until_exact()
        assert ours.life.task.trouble == ""


async def test_a_worker_that_was_there_before_the_migration_goes_on_by_itself_after_it(
    database: str,
) -> None:
    async with process(database) as ours:
        counted(ours.partition, "a")
        await until_failed(ours, "42")
        assert ours.life.task.trouble.startswith("42P01")
        migrate.up(database)
        await ours.run_until_exact()


async def test_rows_of_an_older_writer_are_written_again_by_one_that_knows_more_counters(
    migrated: str,
) -> None:
    async with process(migrated) as ours:
        counted(ours.partition, "a")
        await ours.run_until_exact()
        await ours.sql("UPDATE tally.counters SET clicked = 0, accepted = 0")
        await ours.sql("UPDATE tally.sink_progress SET columns = '0001-of-an-older-writer'")
        assert not await ours.is_exact()
        await ours.run_until_exact()
        assert await ours.sql(HELD, 0) == [("a", 1)]


async def test_a_newer_writer_is_not_undone_by_an_older_one(migrated: str) -> None:
    async with process(migrated) as ours:
        counted(ours.partition, "a")
        await ours.run_until_exact()
        await ours.sql("UPDATE tally.sink_progress SET columns = '9999-of-a-newer-writer'")
        counted(ours.partition, "a")
        await until_failed(ours, "newer_columns")
        assert await ours.sql(HELD, 0) == [("a", 1)]


async def test_an_immediate_stop_loses_nothing_and_the_sink_goes_on_when_postgres_is_back(
    tmp_path: Path,
) -> None:
    server = LocalPostgres.start(tmp_path, port=0)
    try:
        migrate.up(server.dsn)
        async with process(server.dsn, deadline_seconds=2.0) as ours:
            for n in range(5):
                counted(ours.partition, "a", f"c{n}")
                await ours.run_until_exact()
                await asyncio.to_thread(server.stop_immediately)
                counted(ours.partition, "a")
                await ours.run()
                assert ours.life.task.trouble
                await asyncio.to_thread(server.restart)
                await ours.run_until_exact()
    finally:
        server.stop()


@pytest.mark.alone
async def test_a_wire_that_goes_dead_ends_in_a_deadline_and_the_sink_recovers(migrated: str) -> None:
    async with Wire(migrated) as wire, process(wire.dsn, deadline_seconds=0.5) as ours:
        ours.dsn = migrated
        counted(ours.partition, "a")
        await ours.run_until_exact()
        wire.stalled = True
        counted(ours.partition, "a", "b")
        began = time.monotonic()
        await ours.run(lambda: bool(ours.hands.heard.failures))
        assert time.monotonic() - began < 2.0
        assert ours.hands.heard.failures == ["timeout"]
        wire.stalled = False
        await ours.run_until_exact()


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
        try:
            theirs, ours = await asyncio.open_connection(self._host, int(self._port))
        except BaseException:
            writer.transport.abort()  # else a test that ends meanwhile leaves it open to the next one
            raise
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
