"""A bill is what delivered messages cost: however it is split, it comes to the same to the unit."""

from collections.abc import Iterable
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.rates.bill import Delivered, Line, Sum, by_group, by_line, total
from tally.schemas.rates.card import Card, Key, Rate
from tally.schemas.rates.pricing import Cost

JULY, OCTOBER = date(2026, 7, 1), date(2026, 10, 1)
CARD = Card(
    "USD",
    [
        Rate(Key("USD", "BR", "marketing"), JULY, 60_000),
        Rate(Key("USD", "BR", "marketing"), OCTOBER, 62_501),
        Rate(Key("USD", "BR", "service"), JULY, None),
        Rate(Key("USD", "Other", "utility"), JULY, 7),
    ],
)


def test_a_bill_worked_out_by_hand() -> None:
    found = [
        # 10 delivered: 6 at 0.06, 3 free, 1 that no status named a price of.
        Delivered(
            ("promo",), JULY, "BR", 10, {"marketing/regular": 6, "marketing/free_entry_point": 3}, 7, 2
        ),
        # 4 delivered from October on: 4 at 0.062501.
        Delivered(("promo",), OCTOBER, "BR", 4, {"marketing/regular": 4}, 1),
        # To a market without a rate, and to none; one reply to a message of another group.
        Delivered(("news",), OCTOBER, "IN", 2, {"marketing/regular": 2}),
        Delivered(("news",), OCTOBER, "", 1, {"utility/regular": 1}, replied=1),
        Delivered(("news",), OCTOBER, "IN", 5, {"utility/regular": 5}),
    ]
    promo = Sum(Cost(6 * 60_000 + 4 * 62_501, 10, free=3, unpriced=1), 14, 8, 2)
    news = Sum(Cost(35, 5, unpriced=3), 8, 0, 1)
    assert by_group(found, CARD) == {("promo",): promo, ("news",): news}
    assert total(found, CARD) == promo + news
    assert promo.cost.micros == 610_004
    assert by_line(found, CARD) == {
        Line("BR", "marketing", "regular", JULY, 60_000): Cost(360_000, 6),
        Line("BR", "marketing", "regular", OCTOBER, 62_501): Cost(250_004, 4),
        Line("BR", "marketing", "free_entry_point"): Cost(free=3),
        Line("BR", "", ""): Cost(unpriced=1),
        Line("IN", "marketing", "regular"): Cost(unpriced=2),
        Line("", "utility", "regular"): Cost(unpriced=1),
        Line("IN", "utility", "regular", JULY, 7): Cost(35, 5),
    }


PRICED = st.dictionaries(
    st.sampled_from(
        [
            "marketing/regular",
            "utility/regular",
            "service/regular",
            "service/free_customer_service",
            "other/other",
        ]
    ),
    st.integers(1, 10**9),
    max_size=4,
)


def delivered(group: str, day: date, market: str, priced_as: dict[str, int], without: int) -> Delivered:
    return Delivered((group,), day, market, sum(priced_as.values()) + without, priced_as)


FOUND = st.lists(
    st.builds(
        delivered,
        st.sampled_from(["promo", "news"]),
        st.sampled_from([date(2026, 6, 30), JULY, OCTOBER]),
        st.sampled_from(["BR", "IN", ""]),
        PRICED,
        st.integers(0, 9),
    )
)


def summed(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


@given(FOUND)
def test_groups_and_lines_sum_up_to_the_total_and_every_delivered_message_is_in_one(
    found: list[Delivered],
) -> None:
    whole = total(found, CARD)

    assert sum(by_group(found, CARD).values(), Sum()) == whole
    assert summed(by_line(found, CARD).values()) == whole.cost
    assert whole.cost.priced + whole.cost.free + whole.cost.unpriced == whole.delivered
    for line, cost in by_line(found, CARD).items():
        assert cost.micros == (line.micros or 0) * cost.priced
        assert (line.micros is None) is (cost.priced == 0)
