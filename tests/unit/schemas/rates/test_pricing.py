"""Money is counts times the rate of the day; its sums are exact, and nothing unpriced is called free."""

from datetime import date, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from tally.schemas.buckets import zone_names
from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.rates.card import Card, Key, Rate, ended, overlaps
from tally.schemas.rates.pricing import Cost, Counted, cost, periods, shown

CARD = Card(
    "USD",
    [
        Rate(Key("USD", "BR", "marketing"), date(2026, 7, 1), 60_000),
        Rate(Key("USD", "BR", "marketing"), date(2026, 10, 1), 62_501),
        Rate(Key("USD", "Other", "utility"), date(2026, 7, 1), 7),
    ],
)
NOVEMBER = date(2026, 11, 1)


def day_of(quarter: int, zone: tzinfo) -> date:
    """The definition: the day on which a quarter hour begins in the account's zone."""
    return datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone).date()


def test_a_period_begins_at_the_first_quarter_hour_of_its_day_in_every_zone() -> None:
    for zone in map(ZoneInfo, zone_names()):
        for period in periods(CARD, zone):
            assert period.start_s % QUARTER_SECONDS == 0
            first = period.start_s // QUARTER_SECONDS
            assert day_of(first - 1, zone) < period.day <= day_of(first, zone)


def test_rates_hold_from_one_change_of_a_card_to_the_next() -> None:
    assert CARD.changes == [date(2026, 7, 1), date(2026, 10, 1)]
    ends = Rate(Key("USD", "DE", "utility"), date(2026, 8, 1), 9, until=date(2026, 8, 3))
    assert Card("USD", [ends]).changes == [date(2026, 8, 1), date(2026, 8, 3)]


@pytest.mark.parametrize(
    ("market", "category", "kind", "expected"),
    [
        ("BR", "marketing", "regular", Cost(250_004, 4)),
        ("BR", "marketing", "free_entry_point", Cost(free=4)),
        ("BR", "marketing", "free_customer_service", Cost(free=4)),
        ("", "marketing", "regular", Cost(unpriced=4)),
        ("BR", "service", "regular", Cost(unpriced=4)),
        ("AR", "marketing", "regular", Cost(unpriced=4)),
        ("BR", "marketing", "unknown", Cost(unpriced=4)),
        ("BR", "unknown", "regular", Cost(unpriced=4)),
        ("AR", "utility", "regular", Cost(28, 4)),
        ("", "marketing", "free_entry_point", Cost(free=4)),
    ],
)
def test_messages_are_priced_free_or_unpriced(market: str, category: str, kind: str, expected: Cost) -> None:
    assert cost(Counted(market, category, kind, NOVEMBER, 4), CARD) == expected


def test_a_whole_new_card_ends_the_former_one_of_its_currency() -> None:
    october = date(2026, 10, 1)
    former = Rate(Key("USD", "AR", "marketing"), date(2026, 7, 1), 50_000)
    euros = Rate(Key("EUR", "AR", "marketing"), date(2026, 7, 1), 45_000)
    new = Rate(Key("USD", "Rest of Latin America", "marketing"), october, 70_000, line=9)

    rates = [*ended([former, euros], october, "USD"), new]

    assert overlaps(rates) == []
    card = Card("USD", rates)
    assert card.micros("AR", "marketing", date(2026, 9, 30)) == 50_000
    assert card.micros("AR", "marketing", october) is None
    assert Card("EUR", rates).micros("AR", "marketing", october) == 45_000


def test_a_whole_new_card_ends_the_last_rate_of_a_key_whether_it_would_end_by_itself_or_not() -> None:
    first, second, third, new = date(2026, 7, 1), date(2026, 10, 1), date(2026, 12, 1), date(2027, 1, 1)
    brazil, india = Key("USD", "BR", "marketing"), Key("USD", "IN", "marketing")
    former = [
        Rate(brazil, first, 60_000),
        Rate(brazil, second, 62_500),
        Rate(india, first, 10_000),
        Rate(india, second, 11_000, until=third),
        Rate(Key("USD", "AR", "marketing"), second, 50_000, until=date(2027, 7, 1)),
    ]

    rates = [*ended(former, new, "USD"), Rate(brazil, new, 70_000)]

    assert overlaps(rates) == []
    card = Card("USD", rates)
    assert [card.micros("BR", "marketing", day) for day in (first, second, new)] == [60_000, 62_500, 70_000]
    assert [card.micros("IN", "marketing", day) for day in (first, second, third)] == [10_000, 11_000, None]
    assert [card.micros("AR", "marketing", day) for day in (third, new)] == [50_000, None]


def test_what_a_loaded_rate_overlaps_is_named_by_its_day() -> None:
    key = Key("USD", "AR", "marketing")
    (complaint,) = overlaps([Rate(key, date(2026, 7, 1), 1), Rate(key, date(2026, 7, 1), 2, line=4)])

    assert str(complaint) == (
        "line 4: AR marketing USD from 2026-07-01 overlaps what is loaded from 2026-07-01 on"
    )


@pytest.mark.parametrize(
    ("micros", "count", "each"), [(10, 4, 3), (9, 4, 2), (0, 3, 0), (1, 0, None), (2_000_000, 3, 666_667)]
)
def test_the_cost_of_each_is_rounded_once(micros: int, count: int, each: int | None) -> None:
    assert Cost(micros).per(count) == each


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (62_500, "0.0625"),
        (1_500_000, "1.50"),
        (1, "0.000001"),
        (12_000_000, "12.00"),
        (-50, "-0.00005"),
    ],
)
def test_money_is_shown_exactly(micros: int, text: str) -> None:
    assert shown(micros) == text
