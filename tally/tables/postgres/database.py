"""Connections to Postgres: a bounded pool that runs only whole transactions, each with a deadline."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

import asyncpg

from tally.tables.postgres.failures import Refused, named

IDLE_SECONDS = 60.0
"""Idle connections are closed after this time; otherwise some would lead to the former primary long after a
failover."""


_END_STALLED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
    AND state = 'active' AND wait_event = 'ClientRead' AND query LIKE 'COPY "tally".%'
    AND xact_start < clock_timestamp() - make_interval(secs => $1)
"""


class _Connection(asyncpg.Connection):
    """A connection without session state, so there is nothing to reset between two transactions."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """Postgres behind a bounded pool; works through a transaction pooler such as PgBouncer.

    Nothing outlives a transaction: no prepared statement, no session setting, no advisory lock. The pool
    connects on first use, so opening it succeeds even while Postgres is down.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", deadline_seconds: float, begin: str) -> None:
        self._pool = pool
        self._deadline_seconds = deadline_seconds
        self._begin = begin
        self._asked_s: dict[object, float] = {}
        """When each of those that wait for a connection asked for it."""
        self._last_wait_seconds = 0.0

    @property
    def used(self) -> int:
        """How many connections are in use."""
        return self._pool.get_size() - self._pool.get_idle_size()

    @property
    def waiting(self) -> int:
        """How many transactions wait for a connection."""
        return len(self._asked_s)

    @property
    def wait_seconds(self) -> float:
        """How long the last transaction waited for its connection, or one that waits has waited already."""
        now_s = monotonic()
        return max([self._last_wait_seconds, *(now_s - asked_s for asked_s in self._asked_s.values())])

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        connections: int = 4,
        deadline_seconds: float = 10.0,
        lock_seconds: float = 2.0,
        connect_seconds: float | None = None,
    ) -> "Database":
        """Make the pool; `deadline_seconds` bounds a transaction, including the wait for a connection.

        `connect_seconds` bounds that a new connection is made; without it, the deadline does.
        """
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=connections,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            connection_class=_Connection,
            # A transaction pooler may give each transaction another server connection.
            statement_cache_size=0,
            timeout=deadline_seconds if connect_seconds is None else connect_seconds,
            command_timeout=deadline_seconds,
        )
        return cls(pool, deadline_seconds, _begin(deadline_seconds, lock_seconds))

    async def close(self) -> None:
        """Close all connections; terminate those that do not close within the deadline."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]:
        """Run the body in one transaction, and commit at its end.

        Raises Away, Refused or Unacceptable. After Away the transaction may nevertheless be committed.
        """
        with _named_failures():
            async with asyncio.timeout(self._deadline_seconds):
                connection = await self._acquire()
                try:
                    await connection.execute(self._begin)
                    yield connection
                    await connection.execute("COMMIT")
                except BaseException:
                    # Never reuse it: its transaction's fate is unknown, and a former primary stays read-only.
                    connection.terminate()
                    raise
                finally:
                    await self._pool.release(connection)

    async def end_stalled_copies(self) -> None:
        """End sessions of this role in which a COPY of ours waits for data for longer than a transaction may.

        While Postgres waits for such data it heeds no time limit and keeps all locks: a
        process that is paused there would keep all others from its partition. Raises Away, Refused.
        """
        async with self.transaction() as connection:
            await connection.execute(_END_STALLED, self._deadline_seconds)

    async def _acquire(self) -> Any:
        who = object()
        self._asked_s[who] = monotonic()
        try:
            return await self._pool.acquire()
        except ValueError:
            # The parser's message may quote a part of the password.
            raise Refused("connection", "", "the Postgres DSN cannot be read") from None
        finally:
            self._last_wait_seconds = monotonic() - self._asked_s.pop(who)


def _begin(deadline_seconds: float, lock_seconds: float) -> str:
    """Return the SQL that begins a transaction and sets its time limits, in one round trip.

    The server enforces the limits as well, so a paused process cannot keep its locks; one that was paused in
    the middle of a COPY is ended by `end_stalled_copies`.
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
