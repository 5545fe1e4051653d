"""The rows that Postgres holds, in the form of the changelog."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
from msgspec import Struct

from tally.agents.audit.drift import Drift
from tally.schemas.grains import RowKey
from tally.streams.settings import Settings
from tally.tables.postgres.columns import COUNTED, KEY
from tally.tables.postgres.failures import named
from tally.tables.postgres.laws import (
    ACTIVITY_SUMS_UP_TO_CAMPAIGNS,
    ROWS_ARE_SUMS_OF_CELLS,
    SUMS_ARE_OF_CELLS,
)
from tally.tables.postgres.line_laws import ROWS_ARE_SUMS_OF_LINES

DEADLINE_SECONDS = 60.0
WHOLE_SECONDS = 20.0
WHOLE_PAUSE_SECONDS = 0.2
LEDGER = """
SELECT (SELECT count(*) FROM tally.lines WHERE generation = $1) AS lines, count(*) AS partitions,
    count(*) FILTER (WHERE is_cut AND is_pruned AND strpos(columns, '+lines') > 0) AS whole
FROM tally.sink_progress WHERE generation = $1
"""
CLOSE_SECONDS = 5.0
READ = (
    f"SELECT partition, next_offset, {', '.join((*KEY, *COUNTED))} FROM tally.counters WHERE generation = $1"  # noqa: S608 - column names of the registry
)
Rows = dict[bytes, tuple[int, dict[str, int]]]


async def stored_rows(settings: Settings) -> dict[int, Rows]:
    """Return the next offset and counts of each row of our generation, by partition.

    Raises PostgresFailure.
    """
    found: dict[int, Rows] = {}
    for record in await _records(settings, READ):
        rows = found.setdefault(record["partition"], {})
        rows[RowKey.of_columns(record).encode()] = (record["next_offset"], _counts(record))
    return found


async def broken_in_postgres(settings: Settings) -> list[Drift]:
    """Return what of the laws of cells is broken in Postgres. Raises PostgresFailure."""
    rows = [
        Drift("cells", one["partition"], RowKey.of_columns(one), one["counter"], one["held"], one["counted"])
        for one in await _records(settings, ROWS_ARE_SUMS_OF_CELLS)
    ]
    campaigns = [
        Drift(
            "cells", None, RowKey(one["tenant"], one["campaign"], None), one["counter"], one["held"], summed
        )
        for one in await _records(settings, ACTIVITY_SUMS_UP_TO_CAMPAIGNS)
        for summed in {one["fine"], one["sums"]} - {one["held"]}
    ]
    sums = [
        Drift(
            "cells",
            None,
            RowKey(one["tenant"], one["campaign"], None),
            one["counter"],
            one["held"],
            one["counted"],
        )
        for one in await _records(settings, SUMS_ARE_OF_CELLS)
    ]
    return rows + campaigns + sums


async def broken_lines_in_postgres(settings: Settings) -> list[Drift]:
    """Return every counter of a row that the lines in Postgres do not sum up to. Raises PostgresFailure."""
    return [
        Drift("lines", one["partition"], RowKey.of_columns(one), one["counter"], one["held"], one["counted"])
        for one in await _records(settings, ROWS_ARE_SUMS_OF_LINES)
    ]


class Ledger(Struct, frozen=True):
    """The lines in Postgres, and whether they sum up to the rows beside them."""

    lines: int
    partitions: int
    whole: int
    """Partitions of which rows and lines are of one moment: of others nothing can be said."""
    differing: int
    """Counters of rows that are other sums."""

    @property
    def sums_are_equal(self) -> bool:
        """Whether every counter of every row is the sum of its lines, and there are any."""
        return self.lines > 0 and self.whole == self.partitions and not self.differing


async def ledger_in_postgres(settings: Settings, deadline_seconds: float = WHOLE_SECONDS) -> Ledger:
    """Wait until all partitions are whole, or so long; return what the lines are. Raises PostgresFailure."""
    ends_s = time.monotonic() + deadline_seconds
    while True:
        (held,) = await _records(settings, LEDGER)
        if held["whole"] == held["partitions"] or time.monotonic() > ends_s:
            break
        await asyncio.sleep(WHOLE_PAUSE_SECONDS)
    differing = await broken_lines_in_postgres(settings)
    return Ledger(held["lines"], held["partitions"], held["whole"], len(differing))


async def _records(settings: Settings, sql: str) -> Sequence[Any]:
    dsn = settings.postgres_dsn.get_secret_value()
    try:
        connection = await asyncpg.connect(dsn, timeout=10, command_timeout=DEADLINE_SECONDS)
        try:
            return await connection.fetch(sql, settings.generation)
        finally:
            await connection.close(timeout=CLOSE_SECONDS)
    except Exception as error:
        if (failure := named(error)) is not None:
            raise failure from None  # the client's own message may quote the DSN
        raise


def _counts(record: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, kind in COUNTED.items():
        if kind == "bigint":
            counts[name] = record[name]
        else:
            counts.update((f"{name}.{entry}", n) for entry, n in orjson.loads(record[name]).items())
    return counts
