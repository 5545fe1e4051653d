"""Sums of cells over all time, by number and market and by hour of the day, as SQL. Pure.

There are too many cells to sum them anew, as sums by quarter hour are: changes are added. A change is what a
cell comes to, less what `tally.cells` holds of it, read in the same transaction before the cells are written.
What former epochs have left counts for nothing, in cells and in sums alike.
"""

from collections.abc import Mapping

from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS
from tally.tables.postgres.columns import CELL_KEY, CELLED, SUMMED
from tally.tables.postgres.kind import columns_of

QUARTERS_A_DAY = 24 * 3_600 // QUARTER_SECONDS


class Rollup(Struct, frozen=True):
    """A table of sums over cells of campaigns."""

    name: str
    key: Mapping[str, str]
    """Its columns without generation and partition, each as SQL over a cell that is sent."""

    @property
    def sql(self) -> str:
        """Return the SQL that adds up what a batch changes."""
        key, values = columns_of(tuple(self.key)), columns_of(SUMMED)
        summed = columns_of([f"sum({name})::bigint" for name in SUMMED])
        places = columns_of([str(nth) for nth, _ in enumerate(self.key, 4)])
        added = [
            f"{name} = excluded.{name} + CASE WHEN held.epoch = excluded.epoch THEN held.{name} ELSE 0 END"
            for name in SUMMED
        ]
        return f"""
INSERT INTO {self.name} AS held (generation, partition, epoch, {key}, {values})
SELECT $1, $2, $3, {columns_of([f"{sql} AS {name}" for name, sql in self.key.items()])}, {summed}
FROM moved GROUP BY {places}
HAVING ({summed}) IS DISTINCT FROM ({columns_of(["0::bigint"] * len(SUMMED))})
ORDER BY {places}
ON CONFLICT (generation, partition, {key}) DO UPDATE SET {columns_of(added)}, epoch = excluded.epoch"""  # noqa: S608 - names of the registry are put into the text


_AT = f"to_timestamp(quarter * {QUARTER_SECONDS})"
_NAMED = {name: name for name in ("tenant", "campaign", "grain")}
BY_MARKET = Rollup("tally.cells_by_market", _NAMED | {"number": "number", "market": "market"})
BY_HOUR = Rollup(
    "tally.cells_by_hour",
    _NAMED
    | {
        "month": f"date_trunc('month', {_AT} AT TIME ZONE 'UTC')::date",
        "slot": f"(quarter % {QUARTERS_A_DAY})::smallint",
    },
)
"""By month and quarter hour of the day, both UTC: a zone's hours are sums of them in months without a
change of clocks."""
ROLLUPS = (BY_MARKET, BY_HOUR)

_SENT = CELL_KEY | {name: kind for name, kind in CELLED.items() if name in SUMMED}
_SAME = " AND ".join(
    f"held.{name} = {_AT.replace('quarter', 'sent.quarter') if name == 'quarter' else f'sent.{name}'}"
    for name in CELL_KEY
)
ADD_CHANGES = f"""
WITH sent AS (
    SELECT * FROM jsonb_to_recordset($4) AS sent ({
    columns_of([f"{name} {kind}" for name, kind in _SENT.items()])
})
    WHERE campaign <> ''
), moved AS MATERIALIZED (
    SELECT {columns_of(tuple(CELL_KEY), "sent.")}, {
    columns_of([f"coalesce(sent.{name}, 0) - coalesce(held.{name}, 0) AS {name}" for name in SUMMED])
}
    FROM sent LEFT JOIN tally.cells AS held
        ON held.generation = $1 AND held.partition = $2 AND held.epoch = $3 AND {_SAME}
), first AS ({BY_MARKET.sql}
){BY_HOUR.sql}
"""  # noqa: S608
"""Add to both tables what cells change that are about to be written or deleted."""
