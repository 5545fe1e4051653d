"""Finding the rows of a batch that Postgres cannot store."""

from typing import Any

from tally.schemas.keys import RowKey
from tally.tables.postgres.columns import Rows, encoded
from tally.tables.postgres.failures import Unacceptable, named
from tally.tables.postgres.statements import UPSERT_ROWS

FOUND_AT_ONCE = 16
"""The search ends with so many rows, so that it keeps its deadline whatever a batch looks like."""


async def find_unacceptable(
    connection: Any, generation: int, partition: int, rows: Rows
) -> dict[RowKey, str]:
    """Return the SQLSTATE of unacceptable rows, by halving; leaves the transaction as it was."""
    found: dict[RowKey, str] = {}
    suspected = [rows]
    while suspected and len(found) < FOUND_AT_ONCE:
        part = suspected.pop()
        sqlstate = await _try(connection, generation, partition, part)
        if sqlstate is None:
            continue
        if len(part) == 1:
            found[part[0][0]] = sqlstate
        else:
            middle = len(part) // 2
            suspected += [part[middle:], part[:middle]]
    return found


async def _try(connection: Any, generation: int, partition: int, rows: Rows) -> str | None:
    """Write rows and take them back; return why they are not acceptable, or None."""
    sqlstate = None
    await connection.execute("SAVEPOINT trial")
    try:
        await connection.execute(UPSERT_ROWS, generation, partition, encoded(rows))
    except Exception as error:
        failure = named(error)
        if not isinstance(failure, Unacceptable):
            raise
        sqlstate = failure.sqlstate
    await connection.execute("ROLLBACK TO SAVEPOINT trial")
    return sqlstate
