"""Sums of cells and of activity as SQL: by quarter hour and hour, by market, by hour of the day. Pure.

A year is read from them, and a breakdown. Changes are added to them: what a cell comes to, less what its
table held of it. To sum them anew would be to read all cells of a quarter hour whenever one of them changes.
What former epochs have left counts for nothing, in cells and in sums alike.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.counters import BY_NAME
from tally.schemas.grains import CAMPAIGN
from tally.tables.postgres.columns import ACTIVE, SUMMED
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
        """Return the SQL that adds up what has moved, of which a campaign's own numbers are made already."""
        key, values = columns_of(tuple(self.key)), columns_of(tuple(self.values))
        keyed = columns_of([f"{sql} AS {name}" for name, sql in self.key.items()])
        places = columns_of([str(nth) for nth, _ in enumerate(self.key, 4)])
        return f"""\
INSERT INTO {self.name} AS held (generation, partition, epoch, {key}, {values})
SELECT generation, partition, epoch, {key}, {columns_of([self._stored(name) for name in self.values])}
FROM (
    SELECT generation, partition, epoch, {keyed},
        {columns_of([f"sum({name})::bigint AS {name}" for name in self.values])}
    FROM moved GROUP BY 1, 2, 3, {places}
) AS added
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


class Adding(Struct, frozen=True):
    """What adds to sums whatever changes in a table of cells, in the statement that changes it.

    It is a function of Postgres behind triggers, since a connection plans it once: sent as a statement with
    each cut it took 70 % of what a cut cost Postgres, nearly all of it planning. And a writer that knows
    fewer counters than the tables have, as while a deployment is upgraded, leaves sums right.
    """

    table: str
    key: tuple[str, ...]
    """What of a cell's key names its sums."""
    rollups: Sequence[Rollup]
    tells_apart: tuple[str, ...] = ()
    """What else of it decides whether a cell is summed."""

    @property
    def function(self) -> str:
        """Return its name."""
        return f"tally.add_up_{self._plain}"

    @property
    def sql(self) -> str:
        """Return the SQL that makes it; executing it a second time changes nothing."""
        *others, last = (rollup.sql for rollup in self.rollups)
        added = "".join(f", added_{nth} AS (\n{sql}\n)" for nth, sql in enumerate(others))
        values = self.rollups[0].values
        summed = columns_of([f"coalesce({sql}, 0)::bigint AS {name}" for name, sql in values.items()])
        triggers = "\n".join(map(self._trigger, _TRANSITIONS))
        return f"""\
-- What changes in {self.table} is added to its sums, by a plan that a connection makes once.
-- What is not of its partition's epoch counts for nothing, there as here.
CREATE OR REPLACE FUNCTION {self.function}() RETURNS trigger LANGUAGE plpgsql
AS $$
DECLARE
    came {self.table}[];
    gone {self.table}[];
BEGIN
    IF TG_OP <> 'DELETE' THEN
        came := {self._of_epoch("came_now")};
    END IF;
    IF TG_OP <> 'INSERT' THEN
        gone := {self._of_epoch("gone_now")};
    END IF;
    IF cardinality(came) > 0 OR cardinality(gone) > 0 THEN
        WITH changed AS (
{self._changed("came", "")}
    UNION ALL
{self._changed("gone", "-")}
), moved AS MATERIALIZED (
    SELECT generation, partition, epoch, {columns_of(self.key)}, {summed}
    FROM changed GROUP BY generation, partition, epoch, {columns_of(self.key)}
){added}
{last};
    END IF;
    RETURN NULL;
END $$;

{triggers}"""  # noqa: S608 - names of the registry are put into the text

    @property
    def _plain(self) -> str:
        return self.table.removeprefix("tally.")

    def _of_epoch(self, transition: str) -> str:
        return f"""ARRAY(
            SELECT ROW(changed.*)::{self.table} FROM {transition} AS changed
            JOIN tally.sink_progress USING (generation, partition, epoch)
            WHERE campaign <> ''
        )"""  # noqa: S608

    def _changed(self, of: str, sign: str) -> str:
        read = (*self.key, *self.tells_apart)
        key = columns_of([f"{_BY_NUMBER} AS quarter" if name == "quarter" else name for name in read])
        counts = columns_of([f"{sign}{name} AS {name}" if sign else name for name in self.rollups[0].values])
        return f"    SELECT generation, partition, epoch, {key}, {counts} FROM unnest({of})"  # noqa: S608

    def _trigger(self, transition: "_Transition") -> str:
        name = f"{self._plain}_{transition.name}"
        return f"""\
DROP TRIGGER IF EXISTS {name} ON {self.table};
CREATE TRIGGER {name} AFTER {transition.event} ON {self.table}
REFERENCING {transition.tables}
FOR EACH STATEMENT EXECUTE FUNCTION {self.function}();"""


class _Transition(Struct, frozen=True):
    """One event of a table, and what Postgres tells of it."""

    name: str
    event: str
    tables: str


_TRANSITIONS = (
    _Transition("came", "INSERT", "NEW TABLE AS came_now"),
    _Transition("changed", "UPDATE", "OLD TABLE AS gone_now NEW TABLE AS came_now"),
    _Transition("went", "DELETE", "OLD TABLE AS gone_now"),
)
_BY_NUMBER = f"(extract(epoch FROM quarter)::bigint / {QUARTER_SECONDS})"

ADDINGS = (
    Adding("tally.cells", ("tenant", "campaign", "number", "market", "quarter"), OF_CELLS, ("grain",)),
    Adding("tally.activity", ("tenant", "campaign", "quarter"), OF_ACTIVITY),
)
