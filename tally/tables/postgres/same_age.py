"""How far the messages of a campaign, and of those before it, had come at each age, as SQL. Pure.

A message is old enough for an age once the quarter hour in which it was accepted ended at least so long ago.
Rows have the times of all messages; those of quarter hours that are not old enough are taken off by cells.
"""

from datetime import UTC, datetime

from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS
from tally.tables.durations import AGES, NEGATIVE
from tally.tables.postgres.kind import columns_of
from tally.tables.postgres.moment import Query, Records

MOST_EARLIER = 20
"""Campaigns that one is compared with: those that began last before it."""
_TOLD = {"delivered": "time_to_deliver", "read": "time_to_read"}

_AGES = f"ARRAY[{columns_of([str(age) for age in AGES])}]"
_LEFT = f"floor(extract(epoch FROM $4::timestamptz - quarter))::bigint - {QUARTER_SECONDS}"
_WITHIN = f"CASE WHEN entry = '{NEGATIVE}' THEN 0 ELSE width_bucket(entry::bigint - 1, {_AGES}::bigint[]) END"
"""The number of ages that a duration is longer than: it counts from the age with that place on."""


def _of(table: str, old_enough: str) -> str:
    """Return the SQL of how many messages of a table of rows or cells came how far within which age."""
    where = f"generation = $1 AND tenant = $2 AND {table}.grain = 'template'"
    if table == "cells":
        where += f" AND quarter > $4::timestamptz - interval '{QUARTER_SECONDS + AGES[-1]} seconds'"
    parts = [
        f"""
    SELECT campaign, '{name}' AS told, {_WITHIN} AS within, {old_enough} AS old_enough, counted::bigint AS n
    FROM compared JOIN tally.{table} USING (campaign) CROSS JOIN LATERAL jsonb_each_text({column})
        AS entries (entry, counted)
    WHERE {where}"""  # noqa: S608 - names of the registry
        for name, column in _TOLD.items()
    ]
    accepted = f"""
    SELECT campaign, 'accepted', 0, {old_enough}, accepted
    FROM compared JOIN tally.{table} USING (campaign)
    WHERE {where} AND accepted > 0"""  # noqa: S608
    return " UNION ALL".join([*parts, accepted])


SAME_AGE = f"""
WITH begun AS MATERIALIZED (
    SELECT campaign, (
        SELECT quarter FROM tally.cell_sums AS sums
        WHERE sums.generation = $1 AND sums.tenant = $2 AND sums.campaign = held.campaign
            AND sums.accepted > 0
        ORDER BY quarter LIMIT 1
    ) AS at
    FROM (
        SELECT campaign FROM tally.counters
        WHERE generation = $1 AND tenant = $2 AND grain = 'template' AND accepted > 0 GROUP BY campaign
    ) AS held
), compared AS MATERIALIZED (
    (
        SELECT before.campaign FROM begun AS before JOIN begun AS ours ON ours.campaign = $3
        WHERE (before.at, before.campaign) < (ours.at, ours.campaign)
        ORDER BY before.at DESC, before.campaign DESC LIMIT {MOST_EARLIER}
    )
    UNION ALL SELECT $3
), young AS MATERIALIZED ({_of("cells", f"width_bucket({_LEFT}, {_AGES}::bigint[])")}
), counted AS ({_of("counters", str(len(AGES)))}
    UNION ALL SELECT campaign, told, within, {len(AGES)}, -n FROM young
    UNION ALL SELECT campaign, told, within, old_enough, n FROM young
)
SELECT campaign, told, within, old_enough, sum(n)::bigint AS n
FROM counted GROUP BY campaign, told, within, old_enough
"""  # noqa: S608
"""Messages by campaign, by how far they came within which age, and by the ages they are old enough for."""


class Age(Struct):
    """How far those messages had come at an age that are old enough for it."""

    accepted: int = 0
    delivered: int = 0
    read: int = 0


def query(tenant: str, campaign: str, as_of_ms: int) -> Query:
    """Return the query of a campaign and those before it."""
    return Query(SAME_AGE, (tenant, campaign, datetime.fromtimestamp(as_of_ms / 1000, UTC)))


def ages(records: Records) -> dict[str, list[Age]]:
    """Return by campaign how far its messages had come at each of `AGES`."""
    found: dict[str, list[Age]] = {}
    for one in records:
        at = found.setdefault(one["campaign"], [Age() for _ in AGES])
        # It counts at the ages from the one within which it came, to the last one that it is old enough for.
        for age in at[one["within"] : one["old_enough"]]:
            setattr(age, one["told"], getattr(age, one["told"]) + one["n"])
    return found
