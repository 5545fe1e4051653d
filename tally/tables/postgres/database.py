"""Connections to Postgres: a bounded pool that only ever runs whole transactions, each with a deadline."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from tally.tables.postgres.failures import Refused, named

IDLE_SECONDS = 60.0
"""Unused connections are closed, so that after a failover none leads to the former primary for long."""


class _Connection(asyncpg.Connection):
    """A connection without session state: there is nothing to reset between two transactions."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """Postgres behind a bounded pool; works through a transaction pooler such as PgBouncer.

    Nothing outlives a transaction: no prepared statement, no session setting, no advisory lock. Connects when
    it is first needed, so that opening it succeeds while Postgres is away.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", deadline_seconds: float, begin: str) -> None:
        self._pool = pool
        self._deadline_seconds = deadline_seconds
        self._begin = begin

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        connections: int = 4,
        deadline_seconds: float = 10.0,
        lock_seconds: float = 2.0,
    ) -> "Database":
        """Make the pool; `deadline_seconds` bounds a transaction, the wait for a connection included."""
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=connections,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            connection_class=_Connection,
            # A transaction pooler gives each transaction another server connection.
            statement_cache_size=0,
            timeout=deadline_seconds,
            command_timeout=deadline_seconds,
        )
        return cls(pool, deadline_seconds, _begin(deadline_seconds, lock_seconds))

    async def close(self) -> None:
        """Close all connections, by force where one doesn't close within the deadline."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]:
        """Run the body in one transaction, committed at its end.

        Raises Away, Refused or Unacceptable. After Away the transaction may have been committed all the same.
        """
        with _named_failures():
            async with asyncio.timeout(self._deadline_seconds):
                connection = await self._acquire()
                try:
                    await connection.execute(self._begin)
                    yield connection
                    await connection.execute("COMMIT")
                except BaseException:
                    # How far it came is unknown, and a former primary stays read-only: never used again.
                    connection.terminate()
                    raise
                finally:
                    await self._pool.release(connection)

    async def _acquire(self) -> Any:
        try:
            return await self._pool.acquire()
        except ValueError:
            # The parser's own message may quote a part of the password.
            raise Refused("connection", "", "the Postgres DSN cannot be read") from None


def _begin(deadline_seconds: float, lock_seconds: float) -> str:
    """Return one round that begins a transaction with its own limits.

    The server's limits end what we have given up on: a paused process must not keep its locks.
    """
    deadline_ms = round(deadline_seconds * 1000)
    return (
        f"BEGIN; SET LOCAL lock_timeout = {round(lock_seconds * 1000)};"
        f" SET LOCAL statement_timeout = {deadline_ms};"
        f" SET LOCAL idle_in_transaction_session_timeout = {deadline_ms}"
    )


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        failure = named(error)
        if failure is None:
            raise
        # Not chained: the cause's text may quote the DSN or row data.
        raise failure from None
