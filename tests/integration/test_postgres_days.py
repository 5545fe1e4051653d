"""Numbers by day in SQL are those of the read API: in every zone, on all days on which clocks are changed."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from tally.deploy import migrate
from tally.schemas.buckets import Span, buckets, day_start_s, zone_names, zone_of
from tally.schemas.cells import QUARTER_SECONDS
from tally.streams.operations.zones import NOT_PLACES, differing, shown
from tally.streams.web.series import answered, within
from tally.streams.web.series_parameters import (
    A_QUEUE,
    AN_OPERATOR,
    CAMPAIGNS,
    Subject,
    read_series_query,
)
from tally.tables.postgres import series
from tally.tables.postgres.database import Database
from tally.tables.postgres.moment import MomentReader
from tally.tables.postgres.series import HOURS, Attribution, Wanted
from tests.support.servers import execute

pytestmark = pytest.mark.asyncio

FIRST, LAST = date(2026, 1, 1), date(2028, 12, 31)
DAY = timedelta(days=1)
NOONS = (
    datetime(FIRST.year, FIRST.month, FIRST.day, 12, tzinfo=UTC) - DAY,
    datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC) + DAY,
)
ODD = (
    *("Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/Nuuk", "Antarctica/Troll"),
    *("Asia/Beirut", "Asia/Kathmandu", "Australia/Lord_Howe", "CET", "Pacific/Chatham"),
)
"""Changes at midnight, by half an hour or by two hours, and a name that is an abbreviation as well."""
ST_JOHNS = date(2010, 11, 7)
YEAR = "SELECT * FROM tally.campaign_days($1, $2, 'Europe/Amsterdam', $3, $4)"
OTHER_RULES = """
CREATE OR REPLACE FUNCTION tally.zone(timezone text) RETURNS text LANGUAGE sql STABLE AS 'SELECT timezone'
"""
"""Then AT TIME ZONE takes names that are abbreviations for offsets without summers."""
HELD = """
SELECT name, array_agg(extract(epoch FROM begins)::bigint ORDER BY begins) AS begins
FROM unnest($1::text[]) AS name, unnest($2::date[]) AS change,
    LATERAL tally.days(name, change - 2, change + 2)
GROUP BY name
"""
FILLED_S = int(datetime(2025, 12, 20, tzinfo=UTC).timestamp())
FILL = """
INSERT INTO tally.current_generation (generation) VALUES (1) ON CONFLICT DO NOTHING;
INSERT INTO tally.{table} (generation, tenant, quarter, partition{columns}, {counter})
SELECT 1, 't1', quarter, nth % 2{values}, nth
FROM generate_series('2025-12-20+00'::timestamptz, '{last}'::timestamptz, interval '15 minutes')
    WITH ORDINALITY AS quarters (quarter, nth);
"""
"""A number of its own in each quarter hour, so that a sum tells which it is of."""
HOURS_OF = """
INSERT INTO tally.{hours} (generation, tenant, hour, partition{columns}, {counter})
SELECT 1, tenant, date_trunc('hour', quarter, 'UTC'), partition{columns}, sum({counter})
FROM tally.{table} GROUP BY tenant, 3, partition{columns};
"""
REST = {
    "cells": {"campaign": "", "grain": "operator", "number": "", "market": ""},
    "activity": {"campaign": "c1", "number": "n1"},
}
"""What else names a row of a table."""


SUBJECTS = ("campaign", "pbx", "operator", "queue")


class Case(NamedTuple):
    """A function, and what the API is asked for the same."""

    function: str
    subject: Subject
    wanted: Wanted
    counter: str
    table: str
    columns: dict[str, str]
    """What the rows of the subject have beside tenant and quarter."""

    @property
    def arguments(self) -> list[str]:
        return [self.wanted.tenant, *filter(None, (getattr(self.wanted, name) for name in SUBJECTS))]


def case(
    function: str, subject: Subject, attribution: Attribution, counter: str, table: str, **named: str
) -> Case:
    held_as = {"pbx": "template_name", "operator": "template_language"}
    columns = {held_as.get(name, name): value for name, value in named.items()}
    campaign, pbx, operator, queue = (named.get(name, "") for name in SUBJECTS)
    wanted = Wanted("t1", attribution, (counter,), campaign, pbx, operator, queue)
    return Case(function, subject, wanted, counter, table, columns)


OPERATOR = {"pbx": "pbx-1", "operator": "PJSIP/ada"}
CASES = (
    case("campaign_days", CAMPAIGNS, "send", "accepted", "cell_sums", campaign="c1"),
    case("campaign_activity_days", CAMPAIGNS, "event", "failed", "activity_sums", campaign="c1"),
    case("tenant_days", CAMPAIGNS, "send", "delivered", "tenant_sums"),
    case("tenant_activity_days", CAMPAIGNS, "event", "read", "tenant_activity_sums"),
    case("operator_days", AN_OPERATOR, "send", "connects", "cells", **OPERATOR),
    case("queue_days", A_QUEUE, "event", "queue_abandoned", "activity", queue="support"),
)


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


class Asked:
    """Postgres, asked by the functions and as the read API asks it."""

    def __init__(self, sql: Any, database: Database) -> None:
        self.sql = sql
        self._reader = MomentReader(database, 1)

    async def api(self, one: Case, zone: str, first: date, last: date) -> list[tuple[int, int, int]]:
        """Return from, to and number of each day."""
        span = {"from": [first.isoformat()], "to": [last.isoformat()]}
        asked = read_series_query(
            {"timezone": [zone], "counter": [one.counter], "attribution": [one.wanted.attribution], **span},
            0,
            one.subject,
        )
        spans = [within(asked.buckets, asked.span.from_s, asked.span.to_s)]
        found = await self._reader.read("t1", "", lambda _: series.queries(one.wanted, spans))
        body = answered(asked, [series.points(records, one.wanted) for records in found], None)
        return [
            (unix_s(day["from"]), unix_s(day["to"]), day["counters"][one.counter]) for day in body["buckets"]
        ]

    async def function(self, one: Case, zone: str, first: date, last: date) -> list[tuple[int, int, int]]:
        places = ", ".join(f"${nth}" for nth, _ in enumerate([*one.arguments, zone, first, last], 1))
        days = await self.sql.fetch(
            f"SELECT begins, ends, {one.counter} AS n FROM tally.{one.function}({places})",  # noqa: S608
            *one.arguments,
            *(zone, first, last),
        )
        return [(int(day["begins"].timestamp()), int(day["ends"].timestamp()), day["n"]) for day in days]


@asynccontextmanager
async def asking(dsn: str) -> AsyncIterator[Asked]:
    database, sql = await Database.open(dsn), await asyncpg.connect(dsn)
    try:
        yield Asked(sql, database)
    finally:
        await sql.close()
        await database.close()


def unix_s(told: str) -> int:
    return int(datetime.fromisoformat(told).timestamp())


async def fill(dsn: str, one: Case, last: date) -> None:
    columns = "".join(f", {name}" for name in one.columns)
    values = "".join(f", '{value}'" for value in one.columns.values())
    for name, value in REST.get(one.table, {}).items():
        columns, values = f"{columns}, {name}", f"{values}, '{value}'"
    if hours := HOURS.get(one.table):
        columns_ = "".join(f", {name}" for name in one.columns)
        of_hours = HOURS_OF.format(hours=hours, table=one.table, counter=one.counter, columns=columns_)
    else:
        of_hours = ""
    named = {"table": one.table, "counter": one.counter, "columns": columns, "values": values}
    await execute(dsn, FILL.format(**named, last=last + 10 * DAY) + of_hours)


def summed(begins_s: int, ends_s: int) -> int:
    """The sum of the numbers of a span's quarter hours."""
    first, end = ((at_s - FILLED_S) // QUARTER_SECONDS + 1 for at_s in (begins_s, ends_s))
    return sum(range(first, end))


@cache
def offsets(zone: str) -> tuple[int, ...]:
    """The minutes from UTC at noon (UTC) of each day, and one day before and after."""
    info = ZoneInfo(zone)
    days = range((LAST - FIRST).days + 3)
    found = ((NOONS[0] + nth * DAY).astimezone(info).utcoffset() for nth in days)
    return tuple(int(one.total_seconds()) // 60 for one in found if one is not None)


def changed(zone: str) -> tuple[date, ...]:
    """The days on which or beside which clocks are changed."""
    known = offsets(zone)
    return tuple(FIRST + (nth - 1) * DAY for nth in range(1, len(known)) if known[nth] != known[nth - 1])


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_every_zone_has_the_days_of_the_api_around_each_change_of_its_clocks(migrated: str) -> None:
    """Postgres may have other data of zones than Python: `differing` names such zones, and there are few."""
    async with asking(migrated) as asked:
        other_data = set()
        for year in range(FIRST.year, LAST.year + 1):
            other_data |= set(await differing(asked.sql, datetime(year, 1, 1, 12, tzinfo=UTC)))
        names = zone_names() - NOT_PLACES - other_data
        assert len(names) > 400
        assert len(other_data) <= 20, other_data
        by_changes: defaultdict[tuple[date, ...], list[str]] = defaultdict(list)
        for name in names:
            by_changes[changed(name) or (FIRST,)].append(name)
        for days, zones in by_changes.items():
            held = {one["name"]: one["begins"] for one in await asked.sql.fetch(HELD, zones, days)}
            assert {name for name in zones if held[name] != begins_around(days, name)} == set(), days


def begins_around(changes: Sequence[date], name: str) -> list[int]:
    """The instants at which the days around some days begin."""
    zone, found = zone_of(name), []
    for day in changes:
        span = Span(day_start_s(day - 2 * DAY, zone), day_start_s(day + 3 * DAY, zone))
        found += [bucket.from_s for bucket in buckets(span, "day", zone)]
    return sorted(found)


async def test_zones_of_which_postgres_knows_other_rules_are_named(migrated: str) -> None:
    async with asking(migrated) as asked:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        before = await differing(asked.sql, now)
        await execute(migrated, OTHER_RULES)
        assert set(await differing(asked.sql, now)) - set(before) == {"CET", "EET", "MET", "WET"}
        assert "for Europe/Amsterdam:" in shown(["Europe/Amsterdam"])
        assert shown([]) == "the same here and in Postgres"


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("one", CASES, ids=[one.function for one in CASES])
async def test_numbers_by_day_are_those_of_the_api(migrated: str, one: Case) -> None:
    """A campaign's in one zone of each kind, around each change of clocks; others in odd zones."""
    is_first = one is CASES[0]
    await fill(migrated, one, LAST if is_first else date(FIRST.year, 12, 31))
    kinds = {offsets(name): name for name in sorted(zone_names() - NOT_PLACES, reverse=True)}
    zones = sorted(kinds.values()) if is_first else ODD
    async with asking(migrated) as asked:
        for zone in zones:
            for day in changed(zone) or (FIRST,):
                if not is_first and day.year > FIRST.year:
                    break
                span = (day - DAY, day + DAY)
                right = await asked.api(one, zone, *span)
                assert len(right) == 3
                assert right == [
                    (begins_s, ends_s, summed(begins_s, ends_s)) for begins_s, ends_s, _ in right
                ]
                assert await asked.function(one, zone, *span) == right, (zone, day)


async def test_days_without_anything_are_zeros_and_there_are_none_from_a_later_to_an_earlier_one(
    migrated: str,
) -> None:
    await execute(migrated, "INSERT INTO tally.current_generation (generation) VALUES (1)")
    async with asking(migrated) as asked:
        days = await asked.sql.fetch(YEAR, "t1", "nobody's", FIRST, date(2026, 12, 31))
        assert [one["day"] for one in days] == [FIRST + nth * DAY for nth in range(365)]
        assert {(one["accepted"], one["in_flight"], one["withheld"]) for one in days} == {(0, 0, 0)}
        assert all(one["catching_up"] for one in days)  # no sink has said yet which partitions there are
        assert await asked.sql.fetch(YEAR, "t1", "nobody's", LAST, FIRST) == []


async def test_a_day_that_a_zone_skipped_is_not_there(migrated: str) -> None:
    async with asking(migrated) as asked:
        days = await asked.sql.fetch("SELECT day FROM tally.days('Pacific/Apia', '2011-12-29', '2011-12-31')")
        assert [one["day"].day for one in days] == [29, 31]
        # Midnight came a second time, a minute after the first: the day begins with the first.
        (day,) = await asked.sql.fetch("SELECT begins FROM tally.days('America/St_Johns', $1, $1)", ST_JOHNS)
        assert day["begins"].timestamp() == day_start_s(ST_JOHNS, ZoneInfo("America/St_Johns"))


@pytest.mark.parametrize(
    "name", ["IST", "+05:30", "Mars/Olympus5", "europe/amsterdam", "EST5EDT4,M3.2.0", ""]
)
async def test_what_is_no_name_of_ianas_is_refused(migrated: str, name: str) -> None:
    async with asking(migrated) as asked:
        with pytest.raises(asyncpg.InvalidParameterValueError, match="timezone must be an IANA name"):
            await asked.sql.fetch("SELECT * FROM tally.days($1, '2026-01-01', '2026-01-02')", name)
