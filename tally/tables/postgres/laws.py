"""The laws of cells as SQL: what of them is broken in Postgres, for partitions that show one moment. Pure."""

from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.counters import ACTIVITY, counters_of
from tally.schemas.grains import CAMPAIGN, OPERATOR
from tally.tables.postgres.columns import CELLED, KEY
from tally.tables.postgres.kind import columns_of
from tally.tables.postgres.minutes import KEPT_HOURS
from tally.tables.postgres.rollups import ROLLUPS, Rollup

_PLAIN = [name for name, kind in CELLED.items() if kind == "bigint"]
_MAPS = [name for name, kind in CELLED.items() if kind == "jsonb"]
_AT_A_MOMENT = """\
    WHERE generation = $1 AND partition IN (
        SELECT partition FROM tally.sink_progress WHERE generation = $1 AND is_cut
    )"""


def _counted(table: str) -> str:
    """Return the SQL of every count of a table of rows or cells, one a line."""
    plain = ", ".join(f"('{name}', {name})" for name in _PLAIN)
    maps = ", ".join(f"('{name}', {name})" for name in _MAPS)
    return f"""\
    SELECT partition, {columns_of(tuple(KEY))}, counter, n
    FROM {table} CROSS JOIN LATERAL (VALUES {plain}) AS plain (counter, n)
{_AT_A_MOMENT}
    UNION ALL
    SELECT partition, {columns_of(tuple(KEY))}, counter || '.' || entry, n::bigint
    FROM {table} CROSS JOIN LATERAL (VALUES {maps}) AS maps (counter, entries)
    CROSS JOIN LATERAL jsonb_each_text(entries) AS entry (entry, n)
{_AT_A_MOMENT}"""  # noqa: S608 - names of the registry


ROWS_ARE_SUMS_OF_CELLS = f"""
WITH held AS (
{_counted("tally.counters")}
), counted AS (
{_counted("tally.cells")}
)
SELECT partition, {columns_of(tuple(KEY))}, counter,
    sum(held)::bigint AS held, sum(counted)::bigint AS counted
FROM (
    SELECT partition, {columns_of(tuple(KEY))}, counter, n AS held, 0 AS counted FROM held
    UNION ALL
    SELECT partition, {columns_of(tuple(KEY))}, counter, 0, n FROM counted
) AS both_sides
GROUP BY partition, {columns_of(tuple(KEY))}, counter
HAVING sum(held) <> sum(counted)
"""  # noqa: S608
"""Every counter of a row that is not the sum of its cells; $1 is the generation."""


def _rolled_up(rollup: Rollup) -> str:
    """Return the SQL of every number of a roll-up that is not the sum of the cells that it is of."""
    numbers = ", ".join(f"('{name}', {name})" for name in rollup.values)
    each = f"CROSS JOIN LATERAL (VALUES {numbers}) AS one (counter, n)"
    key, places = columns_of(tuple(rollup.key)), columns_of([str(n) for n, _ in enumerate(rollup.key, 2)])
    by_number = f"(extract(epoch FROM quarter)::bigint / {QUARTER_SECONDS})"
    of_cells = columns_of(
        [f"{sql.replace('quarter', by_number)} AS {name}" for name, sql in rollup.key.items()]
        + [f"{sql} AS {name}" for name, sql in rollup.values.items()]
    )
    return f"""
SELECT tenant, {"campaign" if "campaign" in rollup.key else "''"}, counter,
    coalesce(sum(held), 0)::bigint, coalesce(sum(counted), 0)::bigint
FROM (
    SELECT partition, {key}, counter, n AS held, 0 AS counted FROM {rollup.name} {each}
{_AT_A_MOMENT}
    UNION ALL
    SELECT partition, {key}, counter, 0, n
    FROM (
        SELECT partition, {of_cells} FROM {rollup.of}
{_AT_A_MOMENT} AND campaign <> ''
        GROUP BY partition, {places}
    ) AS summed {each}
) AS both_sides
GROUP BY partition, {key}, counter
HAVING coalesce(sum(held), 0) <> coalesce(sum(counted), 0)"""  # noqa: S608


_ACTIVE = columns_of([f"('{name}', {name})" for name in ACTIVITY])
_FINE_KEY = columns_of(("partition", "tenant", "campaign", "number", "queue"))
_QUARTER = f"date_bin('{QUARTER_SECONDS} seconds', minute, 'epoch')"
_MINUTES_OF_QUARTERS = f"""
SELECT tenant, campaign, counter, sum(held)::bigint AS held, sum(counted)::bigint AS counted
FROM (
    SELECT {_FINE_KEY}, quarter, counter, n AS held, 0 AS counted
    FROM tally.activity CROSS JOIN LATERAL (VALUES {_ACTIVE}) AS one (counter, n)
{_AT_A_MOMENT} AND quarter >= now() - interval '{KEPT_HOURS} hours'
    UNION ALL
    SELECT {_FINE_KEY}, {_QUARTER}, counter, 0, n
    FROM tally.minutes CROSS JOIN LATERAL (VALUES {_ACTIVE}) AS one (counter, n)
{_AT_A_MOMENT} AND {_QUARTER} >= now() - interval '{KEPT_HOURS} hours'
) AS both_sides
GROUP BY {_FINE_KEY}, quarter, counter
HAVING sum(held) <> sum(counted)"""  # noqa: S608


SUMS_ARE_OF_CELLS = f"""
SELECT * FROM ({" UNION ALL ".join(map(_rolled_up, ROLLUPS))}
UNION ALL {_MINUTES_OF_QUARTERS}
) AS broken (tenant, campaign, counter, held, counted)
"""  # noqa: S608
"""Every sum that is not that of its cells, a tenant's without a campaign, and every number of activity that
its minutes do not come to; $1 is as above."""


def _campaigns(name: str) -> str:
    """Return the SQL of a campaign's number, of the rows of the grain that it is summed from."""
    of = [(counter.name, counter.summed_from(CAMPAIGN)) for counter in counters_of(name)]
    return " + ".join(
        f"CASE WHEN grain = '{grain.name}' THEN {column} ELSE 0 END" for column, grain in of if grain
    )


_NUMBERS = columns_of([f"('{name}', {name})" for name in ACTIVITY])
_EACH = f"CROSS JOIN LATERAL (VALUES {_NUMBERS}) AS one (counter, n)"
ACTIVITY_SUMS_UP_TO_CAMPAIGNS = f"""
WITH held AS (
    SELECT tenant, campaign, {columns_of([f"{_campaigns(name)} AS {name}" for name in ACTIVITY])}
    FROM tally.counters
{_AT_A_MOMENT} AND grain <> '{OPERATOR.name}'
), fine AS (
    SELECT tenant, campaign, {columns_of(ACTIVITY)} FROM tally.activity
{_AT_A_MOMENT}
), sums AS (
    SELECT tenant, campaign, {columns_of(ACTIVITY)} FROM tally.activity_sums
{_AT_A_MOMENT}
), each AS (
    SELECT tenant, campaign, counter, n AS held, 0::bigint AS fine, 0::bigint AS sums
    FROM held {_EACH}
    UNION ALL
    SELECT tenant, campaign, counter, 0, n, 0
    FROM fine {_EACH}
    UNION ALL
    SELECT tenant, campaign, counter, 0, 0, n
    FROM sums {_EACH}
)
SELECT tenant, campaign, counter,
    sum(held)::bigint AS held, sum(fine)::bigint AS fine, sum(sums)::bigint AS sums
FROM each GROUP BY tenant, campaign, counter
HAVING sum(held) <> sum(fine) OR sum(held) <> sum(sums)
"""  # noqa: S608
"""Every number of a campaign that is not the sum of its activity, or of the sums of that; $1 is as above."""
