"""Whether Postgres and this process know the same rules of time zones: each has data of its own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tally.schemas.buckets import zone_names

SHOWN = 10
YEARS = 2
STEP = timedelta(days=15)
NOT_PLACES = frozenset({"Factory", "localtime"})
"""Files that some machines have among those of zones."""
KNOWN = "SELECT name FROM tally.zones UNION SELECT name FROM pg_timezone_names"
OFFSETS = """
SELECT name, array_agg(
    extract(epoch FROM at AT TIME ZONE tally.zone(name) - at AT TIME ZONE 'UTC')::integer / 60 ORDER BY at
) AS minutes
FROM unnest($1::text[]) AS name, unnest($2::timestamptz[]) AS at GROUP BY name
"""


async def differing(connection: Any, now: datetime) -> list[str]:
    """Return the zones that have other offsets in Postgres than here, within two years from now.

    One that Postgres does not know is among them.
    """
    names = zone_names() - NOT_PLACES
    moments = [now + nth * STEP for nth in range(YEARS * 366 // STEP.days)]
    known = {one["name"] for one in await connection.fetch(KNOWN)}
    held = {
        one["name"]: one["minutes"] for one in await connection.fetch(OFFSETS, sorted(names & known), moments)
    }
    return sorted(name for name in names if held.get(name) != offsets(name, moments))


def offsets(name: str, moments: Sequence[datetime]) -> list[int]:
    """Return how many minutes a zone's clocks are ahead of UTC at some moments."""
    zone = ZoneInfo(name)
    return [round((at.astimezone(zone).replace(tzinfo=UTC) - at).total_seconds() / 60) for at in moments]


def shown(zones: Sequence[str]) -> str:
    """Return what is to be said of zones that differ. Pure."""
    if not zones:
        return "the same here and in Postgres"
    more = ", ..." if len(zones) > SHOWN else ""
    return (
        f"other rules here than in Postgres for {', '.join(zones[:SHOWN])}{more}: their days differ between"
        " API and SQL; update the older of the two sets of zone data"
    )
