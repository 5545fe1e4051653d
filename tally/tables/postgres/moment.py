"""One moment of Postgres: how far each partition is written, and what several queries find at that moment."""

from collections.abc import Callable, Generator, Sequence
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
        async with self._database.transaction() as connection:
            await connection.execute(BEGIN)
            held = _held(await connection.fetch(HELD, self._generation, tenant, campaign))
            return [
                await connection.fetch(query.sql, self._generation, *query.arguments)
                for query in queries(held)
            ]

    async def ask(self, tenant: str, asking: Callable[[Held], Asking[T]]) -> T:
        """Return what queries of which one follows from another come to. Raises Away, Refused."""
        async with self._database.transaction() as connection:
            await connection.execute(BEGIN)
            steps = asking(_held(await connection.fetch(HELD, self._generation, tenant, "")))
            try:
                query = next(steps)
                while True:
                    found = await connection.fetch(query.sql, self._generation, *query.arguments)
                    query = steps.send(found)
            except StopIteration as done:
                result: T = done.value
                return result


def _held(records: Records) -> Held:
    return Held(
        {one["partition"]: one["facts_offset"] for one in records},
        all(one["is_whole"] for one in records),
        max((one["withheld"] for one in records), default=0),
    )
