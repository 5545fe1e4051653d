"""Finding the rows of a batch that Postgres cannot store."""

from typing import Any

from tally.schemas.keys import RowKey
from tally.tables.pieces import in_pieces
from tally.tables.postgres.columns import Rows, encoding
from tally.tables.postgres.failures import Unacceptable, named
from tally.tables.postgres.statements import UPSERT_ROWS


async def find_unacceptable(
    connection: Any, generation: int, partition: int, rows: Rows, most: int
) -> dict[RowKey, str]:
    """Return the SQLSTATE of at most so many unacceptable rows, by halving. Writes nothing."""
    found: dict[RowKey, str] = {}
    suspected = [rows]
    while suspected and len(found) < most:
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
        await connection.execute(UPSERT_ROWS, generation, partition, await in_pieces(encoding(rows)))
    except Exception as error:
        failure = named(error)
        if not isinstance(failure, Unacceptable):
            raise
        sqlstate = failure.sqlstate
    await connection.execute("ROLLBACK TO SAVEPOINT trial")
    return sqlstate
