"""Finding the rows of a batch that Postgres cannot store."""

from typing import Any

import orjson

from tally.tables.postgres.columns import Record
from tally.tables.postgres.failures import Unacceptable, named
from tally.tables.postgres.statements import UPSERT_ROWS

FOUND_AT_ONCE = 16
"""The search ends with so many rows, so that it keeps its deadline whatever a batch looks like."""


def encoded(records: list[Record]) -> str:
    """Return records as the JSON list that the upsert takes."""
    return orjson.dumps(records).decode()


async def find_unacceptable(
    connection: Any, generation: int, partition: int, records: list[Record]
) -> list[tuple[Record, str]]:
    """Return unacceptable records with their SQLSTATE, by halving; leaves the transaction as it was."""
    found: list[tuple[Record, str]] = []
    suspected = [records]
    while suspected and len(found) < FOUND_AT_ONCE:
        part = suspected.pop()
        sqlstate = await _try(connection, generation, partition, part)
        if sqlstate is None:
            continue
        if len(part) == 1:
            found.append((part[0], sqlstate))
        else:
            middle = len(part) // 2
            suspected += [part[middle:], part[:middle]]
    return found


async def _try(connection: Any, generation: int, partition: int, records: list[Record]) -> str | None:
    """Write records and take them back; return why they are not acceptable, or None."""
    sqlstate = None
    await connection.execute("SAVEPOINT trial")
    try:
        await connection.execute(UPSERT_ROWS, generation, partition, encoded(records))
    except Exception as error:
        failure = named(error)
        if not isinstance(failure, Unacceptable):
            raise
        sqlstate = failure.sqlstate
    await connection.execute("ROLLBACK TO SAVEPOINT trial")
    return sqlstate
