"""Faults of the broker, Postgres and the wire to Postgres; each asserts that it took effect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tally.tables.postgres.rollups import ROLLUPS
from tests.faults.plan import Strike
from tests.faults.stack import Stack, until

STATEMENT_SECONDS = 30.0
FIRED_SECONDS = 20.0
LOCKED_SECONDS = 5.0
TAKEN_SECONDS = 4.0
SLOW_SECONDS = 0.5
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"
SUMS = (one.name.removeprefix("tally.") for one in ROLLUPS)
DUMPED = ("counters", "cells", "activity", "minutes", "lines", *SUMS, "partitions", "sink_progress")
DUMP = f"""
DROP SCHEMA IF EXISTS dump CASCADE;
CREATE SCHEMA dump;
{"".join(f"CREATE TABLE dump.{table} AS TABLE tally.{table};" for table in DUMPED)}
"""
RESTORE = f"""
TRUNCATE {", ".join(f"tally.{table}" for table in DUMPED)}, tally.withheld;
{"".join(f"INSERT INTO tally.{table} SELECT * FROM dump.{table};" for table in DUMPED)}
DROP SCHEMA dump CASCADE;
"""  # noqa: S608 - names of our own tables
SEEN = "SELECT coalesce(sum(counters_offset), 0) FROM {schema}.sink_progress"
MIGRATION = (
    "ALTER TABLE tally.counters ADD COLUMN added_meanwhile bigint NOT NULL DEFAULT 0",
    "CREATE INDEX CONCURRENTLY added_meanwhile ON tally.counters (added_meanwhile)",
    "DROP INDEX CONCURRENTLY tally.added_meanwhile",
    "ALTER TABLE tally.counters DROP COLUMN added_meanwhile",
)


class ServerNemesis:
    """Faults of the servers; another action of this class repairs what one leaves broken."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def restart_broker(self, _: Strike) -> None:
        await asyncio.to_thread(self._stack.kafka.stop)
        assert not self._stack.kafka.alive
        await asyncio.to_thread(self._stack.kafka.restart)

    async def kill_broker(self, _: Strike) -> None:
        await asyncio.to_thread(self._stack.kafka.kill)
        assert not self._stack.kafka.alive
        await asyncio.to_thread(self._stack.kafka.restart)

    async def stop_postgres(self, _: Strike) -> None:
        await asyncio.to_thread(self._stack.postgres.stop_immediately)
        assert not self._stack.postgres.alive

    async def start_postgres(self, _: Strike) -> None:
        await asyncio.to_thread(self._stack.postgres.restart)

    async def cut_postgres(self, _: Strike) -> None:
        wire = self._stack.postgres_wire
        struck = wire.struck
        wire.cut()
        await until(lambda: wire.struck > struck, FIRED_SECONDS, "somebody was cut off from Postgres")

    async def stall_postgres(self, _: Strike) -> None:
        wire = self._stack.postgres_wire
        struck = wire.struck
        await until(lambda: wire.connections > 0, FIRED_SECONDS, "somebody is connected to Postgres")
        wire.stall()
        assert wire.struck > struck

    async def slow_postgres(self, _: Strike) -> None:
        wire = self._stack.postgres_wire
        struck = wire.struck
        wire.delay_seconds = SLOW_SECONDS
        await until(lambda: wire.struck > struck, FIRED_SECONDS, "a statement was held up")

    async def mend_postgres(self, _: Strike) -> None:
        self._stack.postgres_wire.mend()

    async def cut_commit(self, _: Strike) -> None:
        wire = self._stack.postgres_wire
        struck = wire.struck
        wire.cut_before_reply_to(b"COMMIT")
        await until(lambda: wire.struck > struck, FIRED_SECONDS, "a reply to COMMIT was lost")

    async def lock_counters(self, _: Strike) -> None:
        """Lock the table until a session waits for it, then for longer than a sink waits for a lock."""
        connected = self._connected
        async with connected() as watching, connected() as connection, connection.transaction():
            await connection.execute("LOCK TABLE tally.counters IN EXCLUSIVE MODE")
            async with asyncio.timeout(FIRED_SECONDS):
                while not await watching.fetchval(WAITING):
                    await asyncio.sleep(0.05)
            await asyncio.sleep(LOCKED_SECONDS)

    async def take_connections(self, _: Strike) -> None:
        """Occupy all connections of the server."""
        taken: list[Any] = []
        try:
            with_none_left = False
            while not with_none_left:
                try:
                    taken.append(await asyncpg.connect(self._stack.dsn, timeout=STATEMENT_SECONDS))
                except asyncpg.TooManyConnectionsError:
                    with_none_left = True
            await asyncio.sleep(TAKEN_SECONDS)
        finally:
            await asyncio.gather(*(connection.close() for connection in taken))

    async def migrate(self, _: Strike) -> None:
        async with self._connected() as connection:
            for statement in MIGRATION:
                await connection.execute(statement)

    async def dump(self, _: Strike) -> None:
        async with self._connected() as connection:
            await connection.execute(DUMP)

    async def restore_dump(self, _: Strike) -> None:
        """Restore an older state of all rows under running workers, once the rows have changed."""
        async with self._connected() as connection:
            async with asyncio.timeout(FIRED_SECONDS):
                while not await self._is_dump_older(connection):
                    await asyncio.sleep(0.05)
            async with connection.transaction():
                # As an operator's restore would do: no write in between.
                await connection.execute("LOCK tally.counters, tally.sink_progress IN ACCESS EXCLUSIVE MODE")
                assert await self._is_dump_older(connection), "nothing would be restored"
                await connection.execute(RESTORE)

    async def _is_dump_older(self, connection: Any) -> bool:
        now = await connection.fetchval(SEEN.format(schema="tally"))
        then = await connection.fetchval(SEEN.format(schema="dump"))
        return bool(then < now)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(
            self._stack.dsn, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS
        )
        try:
            yield connection
        finally:
            await connection.close()
