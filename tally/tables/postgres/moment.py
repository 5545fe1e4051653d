"""One moment of Postgres: how far each partition is written, and what several queries find at that moment."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from msgspec import Struct

from tally.tables.postgres.database import Database

HELD = """
SELECT partition, facts_offset, is_cut AND is_pruned AS is_whole,
    (
        SELECT count(*) FROM tally.withheld
        WHERE generation = $1 AND tenant = convert_to($2, 'UTF8')
            AND ($3 = '' OR campaign = convert_to($3, 'UTF8'))
    ) AS withheld
FROM tally.sink_progress WHERE generation = $1
"""


LITERALS = """
SELECT array_agg(quote_literal(given.one) ORDER BY given.nth)
FROM unnest($1::text[]) WITH ORDINALITY AS given (one, nth)
"""
BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off"
"""Compiling costs more than queries of milliseconds take."""


class Held(Struct, frozen=True):
    """Which moment Postgres holds."""

    progress: dict[int, int]
    """By partition the facts that are counted."""
    is_whole: bool
    """Whether it holds one moment of each partition, with nothing of another reading of the logs."""
    withheld: int
    """How much Postgres has refused of what was asked for."""


class Query(Struct, frozen=True):
    """SQL whose $1 is the generation, and its arguments from $2 on."""

    sql: str
    arguments: Sequence[Any] = ()


Records = Sequence[Any]
T = TypeVar("T")
Asking = Generator[Query, Records, T]
"""Yields queries, is sent what each finds, and returns what all of it comes to."""
Sink = Callable[[bytes], Awaitable[None]]
"""Takes a piece of what is copied; the next is read when it returns."""


class Moment:
    """A transaction that reads, while it is open: all that it finds is of one moment."""

    def __init__(self, connection: Any, generation: int, held: Held) -> None:
        self._connection = connection
        self._generation = generation
        self.held = held

    async def fetch(self, query: Query) -> Records:
        """Return what a query finds."""
        found: Records = await self._connection.fetch(query.sql, self._generation, *query.arguments)
        return found

    async def execute(self, sql: str) -> None:
        """Run what sets how the rest of the transaction goes."""
        await self._connection.execute(sql)

    async def copy(self, query: Query, sink: Sink, **form: Any) -> int:
        """Pass what a query finds to `sink`, piece by piece, in a form of COPY; return how many records.

        COPY takes no arguments: each, a text, comes into the SQL as a literal that Postgres writes.
        """
        texts = [str(self._generation), *query.arguments]
        (literals,) = await self._connection.fetch(LITERALS, texts)
        sql = re.sub(r"\$(\d+)", lambda found: literals[0][int(found[1]) - 1], query.sql)
        said = await self._connection.copy_from_query(sql, output=sink, **form)
        return int(said.removeprefix("COPY "))


class MomentReader:
    """Reads of one generation what several queries find at one moment."""

    def __init__(self, database: Database, generation: int) -> None:
        self._database = database
        self._generation = generation

    async def read(
        self, tenant: str, campaign: str, queries: Callable[[Held], Sequence[Query]]
    ) -> list[Records]:
        """Return what each query finds. Raises Away, Refused.

        `campaign` is empty where all of the tenant's are asked for. `queries` are made once it is known which
        moment it is.
        """
        async with self.open(tenant, campaign) as moment:
            return [await moment.fetch(query) for query in queries(moment.held)]

    @asynccontextmanager
    async def open(self, tenant: str, campaign: str) -> AsyncIterator[Moment]:
        """Hold a moment for the body, as long as the database's deadline lets. Raises Away, Refused."""
        async with self._database.transaction() as connection:
            await connection.execute(BEGIN)
            held = _held(await connection.fetch(HELD, self._generation, tenant, campaign))
            yield Moment(connection, self._generation, held)

    async def ask(self, tenant: str, asking: Callable[[Held], Asking[T]]) -> T:
        """Return what queries of which one follows from another come to. Raises Away, Refused."""
        async with self.open(tenant, "") as moment:
            steps = asking(moment.held)
            try:
                query = next(steps)
                while True:
                    query = steps.send(await moment.fetch(query))
            except StopIteration as done:
                result: T = done.value
                return result


def _held(records: Records) -> Held:
    return Held(
        {one["partition"]: one["facts_offset"] for one in records},
        all(one["is_whole"] for one in records),
        max((one["withheld"] for one in records), default=0),
    )
