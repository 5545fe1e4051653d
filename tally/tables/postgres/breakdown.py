"""What a campaign comes to by template, number, market, reason, category or hour of the day, as SQL. Pure.

By template, reason and category it is a sum of rows, else one of sums of cells over all time, so that a
breakdown reads hardly more for a year than for a day.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from msgspec import Struct

from tally.schemas.buckets import HOUR_SECONDS, OffsetSpan
from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.counters import counters_of
from tally.schemas.grains import CAMPAIGN, TEMPLATE, Grain
from tally.tables.postgres.moment import Query, Records
from tally.tables.postgres.rollups import QUARTERS_A_DAY
from tally.tables.postgres.series import instant, summed, total

By = Literal["template", "number", "market", "error", "category", "hour"]
WAYS: tuple[By, ...] = get_args(By)
_NAMES: Mapping[By, tuple[str, ...]] = {
    "template": ("template_name", "template_language"),
    "number": ("number",),
    "market": ("market",),
    "error": ("entry",),
    "category": ("entry",),
    "hour": ("hour",),
}
"""The columns that tell groups apart."""
_MAP: Mapping[By, str] = {"error": "errors", "category": "pricing"}
"""The map of which a group is an entry."""
_SLOTS = 4
"""Of an hour."""
_DAY = QUARTERS_A_DAY
_HOUR = f"(extract(epoch FROM {{at}})::bigint / {QUARTER_SECONDS} + shift) % {_DAY} / {_SLOTS}"
"""The hour of the day at an instant, where clocks are `shift` quarter hours ahead of UTC."""


class Group(Struct, frozen=True):
    """The numbers of one group."""

    name: tuple[Any, ...]
    counts: dict[str, int]


def grain_of(by: By) -> Grain:
    """Return the level at which the numbers of a breakdown are kept."""
    return TEMPLATE if by == "template" else CAMPAIGN


def is_of_entries(by: By) -> bool:
    """Return whether a group is an entry of a map, and so has but one number."""
    return by in _MAP


def totals_query(tenant: str, campaign: str, counters: Sequence[str]) -> Query:
    """Return the query of a campaign's own numbers."""
    return Query(f"SELECT {_sums(counters, CAMPAIGN)} FROM tally.counters {_OF_CAMPAIGN}", (tenant, campaign))  # noqa: S608 - names of the registry


def groups_query(
    tenant: str, campaign: str, by: By, counters: Sequence[str], spans: Sequence[OffsetSpan] = ()
) -> Query:
    """Return the query of a campaign's groups; `spans` are those of a zone, for hours of the day."""
    if by in _MAP:
        return Query(_ENTRIES.format(map=_MAP[by], counter=counters[0]), (tenant, campaign))
    if by == "hour":
        return _by_hour(tenant, campaign, counters, spans)
    names = ", ".join(_NAMES[by])
    table, grain = ("counters", TEMPLATE) if by == "template" else ("cells_by_market", None)
    return Query(
        f"SELECT {names}, {_sums(counters, grain)} FROM tally.{table} {_OF_CAMPAIGN} GROUP BY {names}",  # noqa: S608
        (tenant, campaign),
    )


def totals(records: Records, counters: Sequence[str]) -> dict[str, int]:
    """Return a campaign's numbers; of one that nobody knows all are 0."""
    return {name: records[0][name] or 0 for name in counters}


def groups(records: Records, by: By, counters: Sequence[str]) -> list[Group]:
    """Return the groups in which anything is counted."""
    found = [
        Group(tuple(one[name] for name in _NAMES[by]), {name: one[name] for name in counters})
        for one in records
    ]
    return [group for group in found if any(group.counts.values())]


_OF_CAMPAIGN = "WHERE generation = $1 AND tenant = $2 AND campaign = $3"
_ENTRIES = f"""
SELECT entry, {total("counted::bigint")} AS {{counter}}
FROM tally.counters CROSS JOIN LATERAL jsonb_each_text({{map}}) AS entries (entry, counted)
{_OF_CAMPAIGN} AND grain = 'template' GROUP BY entry
"""  # noqa: S608


def _sums(counters: Sequence[str], grain: Grain | None) -> str:
    return ", ".join(f"{summed(name, grain)} AS {name}" for name in counters)


def _by_hour(tenant: str, campaign: str, counters: Sequence[str], spans: Sequence[OffsetSpan]) -> Query:
    """Return the query of hours: of whole months from the sums by month, of others from those by hour.

    Where clocks are beside the hour, or are changed within one, it is from the sums by quarter hour.
    """
    columns = ", ".join(dict.fromkeys(part.name for name in counters for part in counters_of(name)))
    months, hours, quarters = _divided(spans)
    sql = f"""
WITH found AS (
    SELECT (slot + shift + {_DAY}) % {_DAY} / {_SLOTS} AS hour, {columns}
    FROM tally.cells_by_hour JOIN unnest($4::date[], $5::integer[]) AS months (month, shift) USING (month)
    {_OF_CAMPAIGN}
    UNION ALL
    SELECT {_HOUR.format(at="held.hour")}, {columns}
    FROM unnest($6::timestamptz[], $7::timestamptz[], $8::integer[]) AS spans (begins, ends, shift)
    JOIN tally.cell_hours AS held ON held.hour >= begins AND held.hour < ends
    {_OF_CAMPAIGN}
    UNION ALL
    SELECT {_HOUR.format(at="quarter")}, {columns}
    FROM unnest($9::timestamptz[], $10::timestamptz[], $11::integer[]) AS spans (begins, ends, shift)
    JOIN tally.cell_sums ON quarter >= begins AND quarter < ends
    {_OF_CAMPAIGN}
)
SELECT hour::integer AS hour, {_sums(counters, None)} FROM found GROUP BY hour
"""  # noqa: S608
    begun = [instant(span.from_s).date() for span in months], [span.shift for span in months]
    return Query(sql, (tenant, campaign, *begun, *_bounds(hours), *_bounds(quarters)))


def _divided(
    spans: Sequence[OffsetSpan],
) -> tuple[list[OffsetSpan], list[OffsetSpan], list[OffsetSpan]]:
    """Return the whole months, then what is made of whole hours, then the others."""
    months = [span for span in spans if span.is_month]
    rest = [span for span in spans if not span.is_month]
    hours = [span for span in rest if _is_of_hours(span)]
    return months, hours, [span for span in rest if not _is_of_hours(span)]


def _is_of_hours(span: OffsetSpan) -> bool:
    return not (span.from_s % HOUR_SECONDS or span.to_s % HOUR_SECONDS or span.shift % _SLOTS)


def _bounds(spans: Sequence[OffsetSpan]) -> tuple[list[datetime], list[datetime], list[int]]:
    return (
        [instant(span.from_s) for span in spans],
        [instant(span.to_s) for span in spans],
        [span.shift for span in spans],
    )
