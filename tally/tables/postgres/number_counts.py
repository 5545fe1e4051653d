"""What business numbers sent of late, as SQL over activity, minutes and cells, and what it finds. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from tally.tables.postgres.moment import Query, Records
from tally.tables.postgres.series import instant

RATE_LIMITED = "meta:130429"
"""Meta refused a message because its number sent too many a second."""
DAY_SECONDS = 86_400

_SENT = """
SELECT activity.tenant, number, sum(accepted)::bigint AS since_former,
    coalesce(sum(accepted) FILTER (WHERE quarter >= $5), 0)::bigint AS since
FROM unnest($2::text[], $3::text[]) AS active (tenant, campaign)
JOIN tally.activity ON activity.tenant = active.tenant AND activity.campaign = active.campaign
WHERE generation = $1 AND quarter >= $4 AND number <> ''
GROUP BY activity.tenant, number HAVING sum(accepted) > 0
"""
# A PBX that has called somebody is no number that sends messages.
_TRIED = """
SELECT number, sum(coalesce(accepted, 0) + coalesce(failed_at_send, 0))::bigint AS tried,
    coalesce(sum((errors ->> $5)::bigint), 0)::bigint AS rate_limited
FROM tally.cells
WHERE generation = $1 AND tenant = $2 AND campaign = ANY ($3) AND quarter >= $4 AND grain = 'template'
    AND number <> ''
GROUP BY number
HAVING sum(coalesce(accepted, 0) + coalesce(failed_at_send, 0)) > 0
    AND coalesce(sum(requested), 0) + coalesce(sum(attempted), 0) = 0
"""
_PEAK = """
SELECT DISTINCT ON (number) number, minute, accepted FROM (
    SELECT number, minute, sum(accepted)::bigint AS accepted FROM tally.minutes
    WHERE generation = $1 AND tenant = $2 AND campaign = ANY ($3) AND minute >= $4 AND number <> ''
    GROUP BY number, minute
) AS by_minute
WHERE accepted > 0
ORDER BY number, accepted DESC, minute
"""


class Sent(Struct, frozen=True):
    """How many messages of a number were accepted since the beginnings of two windows."""

    since_former: int = 0
    since: int = 0


class Tried(Struct, frozen=True):
    """How many messages a number tried to send, and how many of them were refused as too many a second."""

    tried: int = 0
    rate_limited: int = 0


class Peak(Struct, frozen=True):
    """The minute in which a number had most messages accepted, by the time of each; of several the first."""

    at_ms: int
    """Its beginning, in unix ms."""
    accepted: int


def sent_query(active: Sequence[tuple[str, str]], former_s: int, since_s: int) -> Query:
    """Return what reads the numbers of (tenant, campaign) since two beginnings, the former no later."""
    tenants, campaigns = [tenant for tenant, _ in active], [campaign for _, campaign in active]
    return Query(_SENT, (tenants, campaigns, instant(former_s), instant(since_s)))


def day_queries(tenant: str, campaigns: Sequence[str], since_s: int) -> list[Query]:
    """Return what reads the sends of a tenant's campaigns since a quarter hour, and their fastest minutes."""
    since = instant(since_s)
    return [
        Query(_TRIED, (tenant, campaigns, since, RATE_LIMITED)),
        Query(_PEAK, (tenant, campaigns, since)),
    ]


def sent(records: Records) -> dict[tuple[str, str], Sent]:
    """Return what `sent_query` has found, by (tenant, number)."""
    return {(one["tenant"], one["number"]): Sent(one["since_former"], one["since"]) for one in records}


def tried(records: Records) -> dict[str, Tried]:
    """Return what the first of `day_queries` has found, by number."""
    return {one["number"]: Tried(one["tried"], one["rate_limited"]) for one in records}


def peaks(records: Records) -> dict[str, Peak]:
    """Return what the second of `day_queries` has found, by number."""
    return {one["number"]: Peak(round(one["minute"].timestamp() * 1000), one["accepted"]) for one in records}
