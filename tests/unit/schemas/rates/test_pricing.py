"""Money is counts times the rate of the day; its sums are exact, and nothing unpriced is called free."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.rates.card import Card, Key, Rate, ended, overlaps
from tally.schemas.rates.pricing import Cost, Counted, cost, cost_by, day_of, shown

CARD = Card(
    "USD",
    [
        Rate(Key("USD", "BR", "marketing"), date(2026, 7, 1), 60_000),
        Rate(Key("USD", "BR", "marketing"), date(2026, 10, 1), 62_501),
        Rate(Key("USD", "Other", "utility"), date(2026, 7, 1), 7),
    ],
)
AUCKLAND, SAO_PAULO = ZoneInfo("Pacific/Auckland"), ZoneInfo("America/Sao_Paulo")


def quarter(*at: int) -> int:
    return int(datetime(*at, tzinfo=UTC).timestamp()) // 900  # type: ignore[arg-type,misc]  # year to minute


def total(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


def test_a_campaign_over_midnight_of_a_change_is_priced_by_the_days_of_the_accounts_zone() -> None:
    # Midnight of 1 October is 03:00 UTC in São Paulo, and 11:00 UTC on 30 September in Auckland.
    sent = [
        Counted("BR", "marketing", "regular", quarter(2026, 9, 30, 10, 45), 100),
        Counted("BR", "marketing", "regular", quarter(2026, 9, 30, 11, 0), 10),
        Counted("BR", "marketing", "regular", quarter(2026, 10, 1, 2, 45), 3),
        Counted("BR", "marketing", "regular", quarter(2026, 10, 1, 3, 0), 2),
    ]

    assert total(cost(one, CARD, SAO_PAULO) for one in sent) == Cost(113 * 60_000 + 2 * 62_501, 115)
    assert total(cost(one, CARD, AUCKLAND) for one in sent) == Cost(100 * 60_000 + 15 * 62_501, 115)


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
    assert cost(Counted(market, category, kind, quarter(2026, 11, 1, 0, 0), 4), CARD, UTC) == expected


COUNTED = st.builds(
    Counted,
    st.sampled_from(["BR", "AR", ""]),
    st.sampled_from(["marketing", "utility", "service"]),
    st.sampled_from(["regular", "free_entry_point", "unknown"]),
    st.integers(quarter(2026, 6, 28, 0, 0), quarter(2026, 10, 3, 0, 0)),
    st.integers(0, 1_000_000),
)


@given(st.lists(st.tuples(st.sampled_from(["promo", "news"]), COUNTED)))
def test_by_template_by_market_and_by_day_costs_sum_up_to_the_same_to_the_unit(
    sent: list[tuple[str, Counted]],
) -> None:
    whole = total(cost(counted, CARD, SAO_PAULO) for _, counted in sent)

    by_template = cost_by(sent, CARD, SAO_PAULO)
    by_market = cost_by(((counted.market, counted) for _, counted in sent), CARD, SAO_PAULO)
    by_day = cost_by(((day_of(counted.quarter, SAO_PAULO), counted) for _, counted in sent), CARD, SAO_PAULO)
    for split in (by_template, by_market, by_day):
        assert total(split.values()) == whole
    assert whole.priced + whole.free + whole.unpriced == sum(counted.count for _, counted in sent)


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
