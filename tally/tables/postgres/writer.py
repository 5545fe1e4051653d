"""The Postgres writer: one transaction writes rows of one partition and moves its flush progress."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tally.schemas.grains import RowKey
from tally.tables.pieces import give_way, in_pieces
from tally.tables.postgres.columns import KEY, VALUES, Rows, encoding
from tally.tables.postgres.database import Database
from tally.tables.postgres.failures import Unacceptable, named
from tally.tables.postgres.progress import FlushProgress, ProgressMoved

_SENT = (*KEY, *VALUES)
_COMPARED = [name for name in VALUES if name != "next_offset"]


def _listed(names: list[str] | tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


# S608: only column names of the registry are put into the text.
UPSERT_ROWS = f"""
INSERT INTO tally.counters AS held (generation, partition, {_listed(_SENT)})
SELECT $1, $2, {_listed(_SENT)}
FROM jsonb_to_recordset($3) AS sent ({", ".join(f"{name} {kind}" for name, kind in (KEY | VALUES).items())})
ON CONFLICT (generation, partition, {_listed(tuple(KEY))}) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in VALUES)}, updated_at = now()
WHERE held.next_offset < excluded.next_offset
   OR (held.next_offset = excluded.next_offset
       AND ({_listed(_COMPARED, "held.")}) IS DISTINCT FROM ({_listed(_COMPARED, "excluded.")}))
"""  # noqa: S608
"""Write many rows: $1 generation, $2 partition, $3 records as a JSON list.

A row never replaces a newer one. An equal row is not written, so sending everything again costs no writes.
"""

READ_PROGRESS = """
WITH pointed AS (
    INSERT INTO tally.current_generation (generation) VALUES ($1) ON CONFLICT DO NOTHING
)
SELECT partition, next_offset, store_id, columns, flushes
FROM tally.flush_progress
WHERE generation = $1 AND partition = ANY ($2::integer[])
"""
"""Read flush progress of partitions; make this generation the readers' current one if there is none."""

BEGIN_PROGRESS = """
INSERT INTO tally.flush_progress (generation, partition, next_offset, store_id, columns, flushes)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""

SWAP_PROGRESS = """
UPDATE tally.flush_progress
SET next_offset = $3, store_id = $4, columns = $5, flushes = $6, updated_at = now()
WHERE generation = $1 AND partition = $2
    AND (next_offset, store_id, columns, flushes) = ($7, $8, $9, $10)
"""
"""Compare and swap flush progress: no row changes unless it is still what the writer last saw."""


async def find_unacceptable(
    connection: Any, generation: int, partition: int, rows: Rows, most: int
) -> dict[RowKey, str]:
    """Return the SQLSTATEs of at most `most` unacceptable rows, found by bisection; write nothing."""
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
    """Write rows and roll them back; return the SQLSTATE if they are unacceptable, else None."""
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


class Writer:
    """The writer of one generation's rows.

    Its database role needs SELECT, INSERT and UPDATE on counters, flush_progress and current_generation.
    """

    def __init__(
        self, database: Database, generation: int, between: Callable[[], Awaitable[None]] = give_way
    ) -> None:
        self._database = database
        self._generation = generation
        self._between = between

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, FlushProgress]:
        """Return the flush progress of those partitions that have one.

        Makes this generation the readers' current one if there is none. Raises Away, Refused.
        """
        async with self._database.transaction() as connection:
            held = await connection.fetch(READ_PROGRESS, self._generation, list(partitions))
        return {
            found["partition"]: FlushProgress(
                found["next_offset"], found["store_id"], found["columns"], found["flushes"]
            )
            for found in held
        }

    async def write(
        self, partition: int, rows: Rows, progress: FlushProgress, seen: FlushProgress | None
    ) -> int:
        """Write rows and move flush progress from `seen`; return how many rows changed in Postgres.

        Raises ProgressMoved, Unacceptable or Refused, after which nothing is written. Raises Away, after
        which the rows may or may not be written: writing them again is harmless.
        """
        records = await in_pieces(encoding(rows), self._between) if rows else None
        async with self._database.transaction() as connection:
            # The swap comes first: it serialises a partition's writers before any of them locks a row.
            await self._swap(connection, partition, progress, seen)
            if records is None:
                return 0
            return _changed(await connection.execute(UPSERT_ROWS, self._generation, partition, records))

    async def unacceptable(self, partition: int, rows: Rows, most: int) -> dict[RowKey, str]:
        """Return the SQLSTATEs of at most `most` rows that Postgres cannot store; write nothing."""
        async with self._database.transaction() as connection:
            return await find_unacceptable(connection, self._generation, partition, rows, most)

    async def _swap(
        self, connection: Any, partition: int, progress: FlushProgress, seen: FlushProgress | None
    ) -> None:
        key = (self._generation, partition)
        if seen is None:
            status = await connection.execute(BEGIN_PROGRESS, *key, *_fields(progress))
        else:
            status = await connection.execute(SWAP_PROGRESS, *key, *_fields(progress), *_fields(seen))
        if not _changed(status):
            raise ProgressMoved


def _fields(progress: FlushProgress) -> tuple[int, str, str, int]:
    return progress.next_offset, progress.store_id, progress.columns, progress.flushes


def _changed(status: str) -> int:
    """Return the number of rows in a command's status, such as `INSERT 0 12`."""
    return int(status.rpartition(" ")[2])
