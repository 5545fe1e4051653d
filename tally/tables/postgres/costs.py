"""Delivered messages by what their price depends on, as SQL, and what it finds. Pure.

A cell is in the period of a card whose beginning is the last one not after its quarter hour. Periods are few,
so a year is read as a handful of sums, and the days of the account's zone decide to the quarter hour.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from tally.schemas.buckets import day_start_s
from tally.schemas.grains import CAMPAIGN, TEMPLATE
from tally.schemas.rates.bill import Delivered
from tally.schemas.rates.card import Card
from tally.schemas.rates.pricing import Period, periods
from tally.tables.postgres.moment import Query, Records
from tally.tables.postgres.series import instant, summed

GroupBy = Literal["template", "number", "market", "campaign", "rate"]
_COLUMNS: Mapping[GroupBy | None, tuple[str, ...]] = {
    "template": ("template_name", "template_language"),
    "number": ("number",),
    "market": ("market",),
    "campaign": ("campaign",),
}
"""What tells groups apart; rates are told apart by what any price depends on."""
MOST_SUMS = 20_000
"""Sums by group, market, period and price that an answer is made from, in each zone."""
_WHAT_IS_COUNTED = ("delivered", "read", "replied")


class Zones(Struct, frozen=True):
    """Whose days decide on rates: the zone of each number's account, and that of all other numbers."""

    other: ZoneInfo
    of_numbers: Mapping[str, ZoneInfo] = {}


class Asked(Struct, frozen=True):
    """What is to be priced; what is None is not asked for."""

    tenant: str
    campaign: str | None
    zones: Zones
    currency: str | None = None
    """None where the only one that there are rates in is meant."""
    first: date | None = None
    """The first day of sends, in the account's zone."""
    last: date | None = None
    group_by: GroupBy | None = None


class TooManySums(Exception):
    """The messages come to more sums than an answer is made from."""


class Part(Struct, frozen=True):
    """The numbers whose accounts' days are those of one zone, and the periods of the card there."""

    zone: ZoneInfo
    periods: list[Period]
    numbers: list[str]
    is_listed: bool
    """Whether they are those numbers, or all others."""


def parts(zones: Zones, card: Card) -> list[Part]:
    """Return the numbers of each zone; the first part has all that have no zone of their own."""
    of_zones: defaultdict[str, list[str]] = defaultdict(list)
    for number, zone in sorted(zones.of_numbers.items()):
        if zone.key != zones.other.key:
            of_zones[zone.key].append(number)
    elsewhere = sorted(number for numbers in of_zones.values() for number in numbers)
    return [
        Part(zones.other, periods(card, zones.other), elsewhere, is_listed=False),
        *(
            Part(zone, periods(card, zone), numbers, is_listed=True)
            for zone, numbers in ((ZoneInfo(key), numbers) for key, numbers in of_zones.items())
        ),
    ]


def queries(asked: Asked, of_zones: Sequence[Part]) -> list[Query]:
    """Return two queries for each part: its counts, and what they were priced as."""
    return [query for part in of_zones for query in _queries(asked, part)]


def _queries(asked: Asked, part: Part) -> tuple[Query, Query]:
    """Return the queries of a part.

    Their first column is the period, from 0 for what was sent before all of them; the second one is the
    market; then come the columns of the group.
    """
    grouped = _COLUMNS.get(asked.group_by, ())
    columns = ", ".join(("width_bucket(quarter, $2::timestamptz[])", "market", *grouped))
    keys = ", ".join(str(nth) for nth in range(1, 3 + len(grouped)))
    begins = [instant(period.start_s) for period in part.periods]
    bounds = _bounds(asked, part.zone)
    where = [
        "generation = $1",
        "tenant = $3",
        f"number {'= ANY' if part.is_listed else '<> ALL'} ($4)",
        *(f"{condition} ${nth}" for nth, (condition, _) in enumerate(bounds, 5)),
    ]
    arguments = (begins, asked.tenant, part.numbers, *(value for _, value in bounds))
    grain = TEMPLATE if asked.group_by == "template" else CAMPAIGN
    grains = ", ".join(f"'{name}'" for name in sorted({TEMPLATE.name, grain.name}))
    sums = ", ".join(f"{summed(name, grain)} AS {name}" for name in _WHAT_IS_COUNTED)
    counts = (
        f"SELECT {columns}, {sums} FROM tally.cells"  # noqa: S608 - names of the registry
        f" WHERE {' AND '.join(where)} AND grain IN ({grains})"
        f" GROUP BY {keys} HAVING coalesce(sum(delivered), 0) + coalesce(sum(replied), 0) > 0"
        f" LIMIT {MOST_SUMS + 1}"
    )
    prices = (
        f"SELECT {columns}, priced_as, sum(n::bigint)::bigint AS n"  # noqa: S608
        " FROM tally.cells CROSS JOIN LATERAL jsonb_each_text(pricing_delivered) AS priced (priced_as, n)"
        f" WHERE {' AND '.join(where)} AND grain = '{TEMPLATE.name}'"
        f" GROUP BY {keys}, priced_as LIMIT {MOST_SUMS + 1}"
    )
    return Query(counts, arguments), Query(prices, arguments)


def _bounds(asked: Asked, zone: ZoneInfo) -> list[tuple[str, Any]]:
    """Return what bounds the cells, with its values."""
    found: list[tuple[str, Any]] = []
    if asked.campaign is not None:
        found.append(("campaign =", asked.campaign))
    if asked.first is not None:
        found.append(("quarter >=", instant(day_start_s(asked.first, zone))))
    if asked.last is not None:
        found.append(("quarter <", instant(day_start_s(asked.last + timedelta(days=1), zone))))
    return found


def delivered(found: Sequence[Records], of_zones: Sequence[Part]) -> list[Delivered]:
    """Return what such queries have found. Raises TooManySums."""
    if any(len(records) > MOST_SUMS for records in found):
        raise TooManySums
    each = zip(of_zones, found[::2], found[1::2], strict=True)
    return [one for part, counts, prices in each for one in _joined(counts, prices, part.periods)]


def _joined(counts: Records, prices: Records, of_zone: Sequence[Period]) -> list[Delivered]:
    priced: defaultdict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    for *key, priced_as, count in prices:
        priced[tuple(key)][priced_as] = count
    joined = []
    for *key, sent, read, replied in counts:
        period, market, *group = key
        # Before the first period no rate holds, on no day.
        day = of_zone[period - 1].day if period else of_zone[0].day - timedelta(days=1)
        joined.append(
            Delivered(tuple(group), day, market, sent, priced[tuple(key)], read=read, replied=replied)
        )
    return joined
