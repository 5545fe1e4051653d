"""The law of lines as SQL: every counter of a row that its lines do not sum up to. Pure."""

from tally.tables.postgres.columns import COUNTED, KEY
from tally.tables.postgres.kind import columns_of

_KEYED = columns_of(("partition", *KEY))
_PLAIN = columns_of([f"('{name}', {name})" for name, kind in COUNTED.items() if kind == "bigint"])
_MAPS = columns_of([f"('{name}', {name})" for name, kind in COUNTED.items() if kind == "jsonb"])
_WHOLE = """\
    WHERE generation = $1 AND partition IN (
        SELECT partition FROM tally.sink_progress
        WHERE generation = $1 AND is_cut AND is_pruned AND strpos(columns, '+lines') > 0
    )"""

ROWS_ARE_SUMS_OF_LINES = f"""
WITH held AS (
    SELECT {_KEYED}, counter, n
    FROM tally.counters CROSS JOIN LATERAL (VALUES {_PLAIN}) AS plain (counter, n)
{_WHOLE}
    UNION ALL
    SELECT {_KEYED}, counter || '.' || entry, n::bigint
    FROM tally.counters CROSS JOIN LATERAL (VALUES {_MAPS}) AS maps (counter, entries)
    CROSS JOIN LATERAL jsonb_each_text(entries) AS entry (entry, n)
{_WHOLE}
), counted AS (
    SELECT {_KEYED}, counter, coalesce(n, 1) AS n
    FROM tally.lines CROSS JOIN LATERAL unnest(counters, counts) AS one (counter, n)
{_WHOLE}
)
SELECT {_KEYED}, counter, sum(held)::bigint AS held, sum(counted)::bigint AS counted
FROM (
    SELECT {_KEYED}, counter, n AS held, 0 AS counted FROM held
    UNION ALL
    SELECT {_KEYED}, counter, 0, n FROM counted
) AS both_sides
GROUP BY {_KEYED}, counter
HAVING sum(held) <> sum(counted)
"""  # noqa: S608 - names of the registry
"""Every counter of a row that is not the sum of its lines, where there is a ledger; $1 is the generation."""
