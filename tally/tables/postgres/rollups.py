"""Sums of cells and of activity as SQL: by quarter hour and hour, by market, by hour of the day. Pure.

A year is read from them, and a breakdown. Changes are added to them: what a cell comes to, less what its
table holds of it, read in the same transaction before the cell is written. To sum them anew would be to read
all cells of a quarter hour whenever one of them changes. What former epochs have left counts for nothing, in
cells and in sums alike.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.counters import BY_NAME
from tally.schemas.grains import CAMPAIGN
from tally.tables.postgres.columns import ACTIVE, ACTIVITY_KEY, CELL_KEY, SUMMED
from tally.tables.postgres.kind import columns_of

QUARTERS_AN_HOUR = 3_600 // QUARTER_SECONDS
QUARTERS_A_DAY = 24 * QUARTERS_AN_HOUR


class Rollup(Struct, frozen=True):
    """A table of sums over cells of campaigns: a campaign's own numbers, or a tenant's."""

    name: str
    of: str
    """The table of the cells."""
    key: Mapping[str, str]
    """Its columns without generation and partition, each as SQL over a cell that is sent."""
    values: Mapping[str, str]
    """Its counters, each as SQL that sums cells."""
    is_sparse: bool = False
    """Whether a counter of nothing is NULL, so that a row takes few bytes; else it is 0."""

    @property
    def sql(self) -> str:
        """Return the SQL that adds up what a batch changes."""
        key, values = columns_of(tuple(self.key)), columns_of(tuple(self.values))
        keyed = columns_of([f"{sql} AS {name}" for name, sql in self.key.items()])
        summed = columns_of([f"coalesce({sql}, 0)::bigint AS {name}" for name, sql in self.values.items()])
        places = columns_of([str(nth) for nth, _ in enumerate(self.key, 1)])
        return f"""
INSERT INTO {self.name} AS held (generation, partition, epoch, {key}, {values})
SELECT $1, $2, $3, {key}, {columns_of([self._stored(name) for name in self.values])}
FROM (SELECT {keyed}, {summed} FROM moved GROUP BY {places}) AS added
WHERE ({values}) IS DISTINCT FROM ({columns_of(["0::bigint"] * len(self.values))})
ORDER BY {key}
ON CONFLICT (generation, partition, {key}) DO UPDATE
SET {columns_of([f"{name} = {self._added(name)}" for name in self.values])}, epoch = excluded.epoch"""  # noqa: S608 - names of the registry are put into the text

    def _stored(self, sql: str) -> str:
        return f"nullif({sql}, 0)" if self.is_sparse else sql

    def _added(self, name: str) -> str:
        held = f"CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.{name}, 0) ELSE 0 END"
        return self._stored(f"coalesce(excluded.{name}, 0) + {held}")


def _of_campaign(name: str) -> str:
    """Return a campaign's number as the sum of the cells of the grain that holds it."""
    grain = BY_NAME[name].summed_from(CAMPAIGN)
    assert grain is not None  # noqa: S101 - no plain counter is of operators alone
    return f"sum({name}) FILTER (WHERE grain = '{grain.name}')"


_AT = f"to_timestamp(quarter * {QUARTER_SECONDS})"
_TENANT = {"tenant": "tenant"}
_CAMPAIGN = _TENANT | {"campaign": "campaign"}
_QUARTER = {"quarter": _AT}
_COUNTED = {name: _of_campaign(name) for name in SUMMED}
_ACTIVE = {name: f"sum({name})" for name in ACTIVE}
CELL_SUMS = Rollup("tally.cell_sums", "tally.cells", _CAMPAIGN | _QUARTER, _COUNTED, is_sparse=True)
TENANT_SUMS = Rollup("tally.tenant_sums", "tally.cells", _TENANT | _QUARTER, _COUNTED, is_sparse=True)
_HOUR = {"hour": f"to_timestamp(quarter / {QUARTERS_AN_HOUR} * 3600)"}
CELL_HOURS = Rollup("tally.cell_hours", "tally.cells", _CAMPAIGN | _HOUR, _COUNTED, is_sparse=True)
TENANT_HOURS = Rollup("tally.tenant_hours", "tally.cells", _TENANT | _HOUR, _COUNTED, is_sparse=True)
BY_MARKET = Rollup(
    "tally.cells_by_market",
    "tally.cells",
    _CAMPAIGN | {"number": "number", "market": "market"},
    _COUNTED,
    is_sparse=True,
)
BY_HOUR = Rollup(
    "tally.cells_by_hour",
    "tally.cells",
    _CAMPAIGN
    | {
        "month": f"date_trunc('month', {_AT} AT TIME ZONE 'UTC')::date",
        "slot": f"(quarter % {QUARTERS_A_DAY})::smallint",
    },
    _COUNTED,
    is_sparse=True,
)
"""By month and quarter hour of the day, both UTC: a zone's hours are sums of them in months without a
change of clocks."""
ACTIVITY_SUMS = Rollup("tally.activity_sums", "tally.activity", _CAMPAIGN | _QUARTER, _ACTIVE)
TENANT_ACTIVITY_SUMS = Rollup("tally.tenant_activity_sums", "tally.activity", _TENANT | _QUARTER, _ACTIVE)
ACTIVITY_HOURS = Rollup("tally.activity_hours", "tally.activity", _CAMPAIGN | _HOUR, _ACTIVE)
TENANT_ACTIVITY_HOURS = Rollup("tally.tenant_activity_hours", "tally.activity", _TENANT | _HOUR, _ACTIVE)

OF_CELLS = (CELL_SUMS, TENANT_SUMS, CELL_HOURS, TENANT_HOURS, BY_MARKET, BY_HOUR)
OF_ACTIVITY = (ACTIVITY_SUMS, TENANT_ACTIVITY_SUMS, ACTIVITY_HOURS, TENANT_ACTIVITY_HOURS)
ROLLUPS = OF_CELLS + OF_ACTIVITY


def _add_changes(key: dict[str, str], counters: dict[str, str], rollups: Sequence[Rollup]) -> str:
    """Return SQL that adds to the roll-ups of one table what cells change that are about to be written."""
    sent = columns_of([f"{name} {kind}" for name, kind in (key | counters).items()])
    same = " AND ".join(
        f"held.{name} = {_AT.replace('quarter', 'sent.quarter') if name == 'quarter' else f'sent.{name}'}"
        for name in key
    )
    moved = columns_of(
        [f"coalesce(sent.{name}, 0) - coalesce(held.{name}, 0) AS {name}" for name in counters]
    )
    *others, last = (rollup.sql for rollup in rollups)
    added = "".join(f", added_{nth} AS ({sql}\n)" for nth, sql in enumerate(others))
    return f"""
WITH sent AS (
    SELECT * FROM jsonb_to_recordset($4) AS sent ({sent}) WHERE campaign <> ''
), moved AS MATERIALIZED (
    SELECT {columns_of(tuple(key), "sent.")}, {moved}
    FROM sent LEFT JOIN {rollups[0].of} AS held
        ON held.generation = $1 AND held.partition = $2 AND held.epoch = $3 AND {same}
){added}{last}
"""  # noqa: S608


ADD_CELLS = _add_changes(CELL_KEY, dict.fromkeys(SUMMED, "bigint"), OF_CELLS)
ADD_ACTIVITY = _add_changes(ACTIVITY_KEY, ACTIVE, OF_ACTIVITY)
