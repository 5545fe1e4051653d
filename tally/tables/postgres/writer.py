"""The Postgres writer: rows of one partition and its flush progress, in one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tally.schemas.keys import RowKey
from tally.tables.pieces import give_way, in_pieces
from tally.tables.postgres.columns import Rows, encoding
from tally.tables.postgres.database import Database
from tally.tables.postgres.progress import FlushProgress, ProgressMoved
from tally.tables.postgres.statements import BEGIN_PROGRESS, READ_PROGRESS, SWAP_PROGRESS, UPSERT_ROWS
from tally.tables.postgres.trial import find_unacceptable


class Writer:
    """Writes the rows of one generation.

    Its role needs SELECT, INSERT and UPDATE on counters, flush_progress and current_generation.
    """

    def __init__(
        self, database: Database, generation: int, between: Callable[[], Awaitable[None]] = give_way
    ) -> None:
        self._database = database
        self._generation = generation
        self._between = between

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, FlushProgress]:
        """Return the flush progress of those partitions that have one.

        Points readers at this generation where they are pointed at none. Raises Away, Refused.
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
        """Write rows and move flush progress from what was seen; return how many rows were news to Postgres.

        Raises ProgressMoved; Unacceptable, and nothing is written; Refused; Away, and whether anything was
        written is unknown: writing the same again is harmless.
        """
        records = await in_pieces(encoding(rows), self._between) if rows else None
        async with self._database.transaction() as connection:
            # First, since it serialises the writers of a partition before any of them locks a row.
            await self._swap(connection, partition, progress, seen)
            if records is None:
                return 0
            return _changed(await connection.execute(UPSERT_ROWS, self._generation, partition, records))

    async def unacceptable(self, partition: int, rows: Rows, most: int) -> dict[RowKey, str]:
        """Return SQLSTATE by row of rows that Postgres cannot store, the first few; writes nothing."""
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
