"""Series of numbers over time from cells, as SQL, and the points that it finds. Pure.

A cell is in the bucket whose beginning is the last one not after its own: `width_bucket` over the beginnings
of all buckets, which holds in any zone and on any day.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from msgspec import Struct

from tally.schemas.buckets import MOST_BUCKETS, Bucket
from tally.schemas.counters import ACTIVITY, BY_NAME, DERIVED_BY_NAME, counters_of
from tally.schemas.grains import CAMPAIGN, OPERATOR, TEMPLATE, Grain
from tally.tables.postgres.moment import Query, Records

Attribution = Literal["send", "event"]
ATTRIBUTIONS: tuple[Attribution, ...] = get_args(Attribution)
GroupBy = Literal["template", "number", "market"]
GROUPED: Mapping[GroupBy, tuple[str, ...]] = {
    "template": ("template_name", "template_language"),
    "number": ("number",),
    "market": ("market",),
}
"""The columns that tell groups apart."""
HOURS: Mapping[str, str] = {
    "cell_sums": "cell_hours",
    "tenant_sums": "tenant_hours",
    "activity_sums": "activity_hours",
    "tenant_activity_sums": "tenant_activity_hours",
}
"""The sums by hour of each table of sums by quarter hour."""
_BEGINS = "($2::timestamptz[])[1]"
_FINE = ("cells", "activity", "minutes")
"""The tables that have more than sums of campaigns."""
MOST_POINTS = MOST_BUCKETS + 1
"""Of one list of buckets: so many have more groups and buckets than an answer shows."""


class Wanted(Struct, frozen=True):
    """What a series is of; what is empty is not asked for."""

    tenant: str
    attribution: Attribution
    counters: tuple[str, ...]
    campaign: str = ""
    pbx: str = ""
    operator: str = ""
    queue: str = ""
    group_by: GroupBy | None = None
    is_by_minute: bool = False
    """Whether minutes are summed up, which are of activity alone."""

    @property
    def grain(self) -> Grain:
        """The level at which its numbers are those of an answer."""
        if self.operator:
            return OPERATOR
        return TEMPLATE if self.group_by == "template" else CAMPAIGN


class Point(Struct, frozen=True):
    """The numbers of one bucket and one group; a number that is not there is nothing."""

    nth: int
    """The bucket, from 0."""
    group: tuple[str, ...]
    counts: dict[str, int]


def possible(grain: Grain, attribution: Attribution) -> tuple[str, ...]:
    """Return the numbers that cells can tell at a grain, in the order of the registry. Pure."""
    if attribution == "event":
        return ACTIVITY
    plain = (name for name, one in BY_NAME.items() if one.kind == "count")
    names = (*plain, *DERIVED_BY_NAME) if grain is not OPERATOR else tuple(plain)
    return tuple(name for name in names if all(_tells(part, grain) for part in counters_of(name)))


def _tells(counter: Any, grain: Grain) -> bool:
    return counter.kind == "count" and bool(counter.cells) and counter.summed_from(grain) is not None


def query(wanted: Wanted) -> tuple[str, list[Any]]:
    """Return the SQL of a series, and its arguments from $4 on; sums by hour have `split_hours` as the last.

    $1 is the generation, $2 a list of the beginnings of buckets, $3 the end of the last one. At most
    `MOST_POINTS` points are read.
    """
    grouped = GROUPED[wanted.group_by] if wanted.group_by else ()
    sums = ", ".join(f"{_summed(name, wanted)} AS {name}" for name in wanted.counters)
    conditions = [(name, value) for name, value in _conditions(wanted) if value]
    where = "".join(f" AND {name} = ${nth}" for nth, (name, _) in enumerate(conditions, 4))
    at = "minute" if wanted.is_by_minute else "quarter"
    columns = ", ".join((f"width_bucket({at}, $2::timestamptz[]) - 1 AS nth", *grouped))
    keys = ", ".join(str(nth) for nth in range(1, 2 + len(grouped)))
    table, told = _table(wanted), f"generation = $1{_only(wanted)}{where}"
    if hours := HOURS.get(table):
        parts = columns_read(wanted.counters, wanted.attribution)
        split = f"SELECT unnest(${len(conditions) + 4}::timestamptz[])"
        held = by_hour(table, hours, told, (_BEGINS, "$3"), split, parts)
    else:
        held = f"tally.{table} WHERE {told} AND {at} >= {_BEGINS} AND {at} < $3"
    sql = f"SELECT {columns}, {sums} FROM {held} GROUP BY {keys} ORDER BY {keys} LIMIT {MOST_POINTS}"  # noqa: S608 - names of the registry
    return sql, [value for _, value in conditions]


def columns_read(counters: Sequence[str], attribution: Attribution) -> tuple[str, ...]:
    """Return the columns that numbers are made of; of activity each has its own."""
    if attribution == "event":
        return tuple(counters)
    return tuple(dict.fromkeys(part.name for name in counters for part in counters_of(name)))


def by_hour(
    sums: str, hours: str, where: str, span: tuple[str, str], split: str, counters: Sequence[str]
) -> str:
    """Return the SQL of sums within a span, in few rows: by hour, and where hours are split by quarter hour.

    `split` is SQL of the hours (UTC) within which a bucket begins or ends.
    """
    columns, (begins, ends) = ", ".join(counters), span
    return f"""(
    SELECT hour AS quarter, {columns} FROM tally.{hours}
    WHERE {where} AND hour >= {begins} AND hour < {ends}
        AND NOT EXISTS (SELECT FROM ({split}) AS split (at) WHERE at = hour)
    UNION ALL
    SELECT quarter, {columns}
    FROM ({split}) AS split (at) JOIN tally.{sums} ON quarter >= at AND quarter < at + interval '1 hour'
    WHERE {where} AND quarter >= {begins} AND quarter < {ends}
) AS held"""  # noqa: S608


def _only(wanted: Wanted) -> str:
    """Return what else holds of the rows; what an index holds alone is said as the index says it."""
    if wanted.operator:
        return " AND grain = 'operator'"
    whole = " AND campaign <> ''" if _table(wanted) in _FINE and not wanted.campaign else ""
    if wanted.group_by == "template":
        whole += f" AND grain = '{TEMPLATE.name}'"  # a campaign's own cells are of no template
    return f"{whole} AND queue <> ''" if wanted.queue else whole


def _table(wanted: Wanted) -> str:
    if wanted.is_by_minute:
        return "minutes"
    if wanted.attribution == "event":
        if wanted.group_by or wanted.queue:
            return "activity"
        return "activity_sums" if wanted.campaign else "tenant_activity_sums"
    if wanted.group_by or wanted.operator:
        return "cells"
    return "cell_sums" if wanted.campaign else "tenant_sums"


def _conditions(wanted: Wanted) -> list[tuple[str, str]]:
    named = [("tenant", wanted.tenant), ("campaign", wanted.campaign), ("queue", wanted.queue)]
    if wanted.operator:
        named += [("template_name", wanted.pbx), ("template_language", wanted.operator)]
    return named


def _summed(name: str, wanted: Wanted) -> str:
    if wanted.attribution == "event":
        return total(name)
    return summed(name, wanted.grain if _table(wanted) in _FINE else None)


def total(column: str, only: str = "") -> str:
    """Return the SQL of a sum that is 0 of nothing.

    It only adds, where `sum(bigint)` counts in numeric and is called for each NULL: a year by day of 50
    counters takes a seventh less.
    """
    return f"tally.total({column})" + (f" FILTER (WHERE {only})" if only else "")


def summed(name: str, grain: Grain | None) -> str:
    """Return the SQL of a number of a grain, over rows or cells that have a column `grain`.

    Sums of cells have none: they are of a campaign's own numbers.
    """
    parts = DERIVED_BY_NAME.get(name)
    if parts is None:
        return _of_grain(name, grain)
    plus = " + ".join(_of_grain(part, grain) for part in parts.plus)
    return plus + "".join(f" - {_of_grain(part, grain)}" for part in parts.minus)


def _of_grain(name: str, grain: Grain | None) -> str:
    if grain is None:
        return total(name)
    source = BY_NAME[name].summed_from(grain)
    assert source is not None  # noqa: S101 - `possible` said so
    return total(name, f"grain = '{source.name}'")


def queries(wanted: Wanted, spans: Sequence[Sequence[Bucket]]) -> list[Query]:
    """Return the queries of a series, one for each list of buckets. Pure."""
    sql, arguments = query(wanted)
    is_by_hour = _table(wanted) in HOURS
    return [
        Query(sql, (*_bounds(buckets), *arguments, *([split_hours(buckets)] if is_by_hour else [])))
        for buckets in spans
    ]


def split_hours(buckets: Sequence[Bucket]) -> list[datetime]:
    """Return the hours (UTC) within which a bucket begins or ends. Pure."""
    edges = {edge for bucket in buckets for edge in bucket}
    return [instant(hour) for hour in sorted({edge - edge % 3_600 for edge in edges if edge % 3_600})]


def points(records: Records, wanted: Wanted) -> list[Point]:
    """Return what such a query has found. Pure."""
    return [_point(record, wanted) for record in records]


def _bounds(buckets: Sequence[Bucket]) -> tuple[list[datetime], datetime]:
    return [instant(bucket.from_s) for bucket in buckets], instant(buckets[-1].to_s)


def instant(unix_s: int) -> datetime:
    """Return unix seconds as Postgres takes them."""
    return datetime.fromtimestamp(unix_s, UTC)


def _point(record: Any, wanted: Wanted) -> Point:
    grouped = GROUPED[wanted.group_by] if wanted.group_by else ()
    counts = {name: record[name] for name in wanted.counters if record[name]}
    return Point(record["nth"], tuple(record[name] for name in grouped), counts)
