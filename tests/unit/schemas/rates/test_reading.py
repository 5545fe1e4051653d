"""Rate cards are read whole or not at all, and what is wrong with one is said by line."""

from datetime import date

import pytest

from tally.schemas.rates.areas import AREA_OF, market_named
from tally.schemas.rates.reading import REGIONS, BadCard, read_card

OCTOBER = date(2026, 10, 1)
META = """\
"Cost per message in USD, list rates, effective October 1",,,,,,
Note: see the documentation for authentication-international rates.,,,,,,
Market,Currency,Marketing,Utility,Authentication,"Authentication-
International",Service
Argentina,USD,0.0618,0.0260,0.0260,n/a,n/a
Brazil,USD,0.0625,0.0068,0.0068,n/a,n/a
India,USD,0.0118,0.0014,0.0014,0.0280,n/a
North America,USD,0.0250,0.0034,0.0034,n/a,n/a
Rest of Western Europe,USD,0.0592,0.0171,0.0171,n/a,n/a
Other,USD,0.0604,0.0077,0.0077,n/a,n/a
"""
EUROS = META.replace(",USD,", ",EUR,").replace("0.0625", "0.0533").replace("\n", "\r\n")
SIMPLE = """\
effective_from,currency,market,category,rate
2026-07-01,USD,BR,marketing,0.0600
2026-10-01,USD,BR,marketing,0.0625
2026-10-01,USD,Other,utility,0
"""


def refused(text: str | bytes, since: date | None = OCTOBER) -> list[str]:
    with pytest.raises(BadCard) as caught:
        read_card(text if isinstance(text, bytes) else text.encode(), since)
    return [str(complaint) for complaint in caught.value.complaints]


@pytest.mark.parametrize(("text", "currency", "micros"), [(META, "USD", 62_500), (EUROS, "EUR", 53_300)])
def test_a_card_of_metas_has_a_market_a_line_and_a_category_a_column(
    text: str, currency: str, micros: int
) -> None:
    read = read_card(text.encode(), OCTOBER)
    card = read.card(currency)

    assert (read.currencies, read.is_whole, len(read.rates)) == ([currency], True, 30)
    assert card.micros("BR", "marketing", OCTOBER) == micros
    assert card.micros("IN", "authentication_international", OCTOBER) == 28_000
    assert card.micros("IN", "authentication-international", OCTOBER) == 28_000
    assert card.micros("AT", "utility", OCTOBER) == 17_100  # Rest of Western Europe
    assert card.micros("US", "marketing", OCTOBER) == card.micros("CA", "marketing", OCTOBER) == 25_000
    assert card.micros("KR", "utility", OCTOBER) == 7_700  # Other
    assert card.micros("BR", "service", OCTOBER) is None
    assert card.micros("BR", "authentication_international", OCTOBER) is None
    assert card.micros("", "marketing", OCTOBER) is None
    assert card.micros("BR", "marketing", date(2026, 9, 30)) is None
    assert read.card("GBP").micros("BR", "marketing", OCTOBER) is None


def test_a_simple_card_has_a_rate_a_line_which_holds_until_the_next_one_begins() -> None:
    read = read_card(SIMPLE.encode())
    card = read.card("USD")

    assert not read.is_whole
    assert card.micros("BR", "marketing", date(2026, 6, 30)) is None
    assert card.micros("BR", "marketing", date(2026, 9, 30)) == 60_000
    assert card.micros("BR", "marketing", OCTOBER) == 62_500
    assert card.micros("AR", "utility", OCTOBER) == 0
    assert card.micros("BR", "marketing_lite", OCTOBER) == 62_500


def test_a_category_that_a_card_names_itself_has_its_own_rate() -> None:
    own = read_card((SIMPLE + "2026-10-01,USD,BR,marketing_lite,0.05\n").encode()).card("USD")

    assert own.micros("BR", "marketing_lite", OCTOBER) == 50_000
    assert own.micros("BR", "marketing_lite", date(2026, 9, 30)) == 60_000


def test_a_rate_that_ends_leaves_days_without_one() -> None:
    header = "effective_from,effective_until,currency,market,category,rate\n"
    text = f"{header}2026-10-01,2026-10-03,EUR,DE,utility,0.1\n"
    card = read_card(text.encode()).card("EUR")

    days = [card.micros("DE", "utility", date(2026, 10, day)) for day in (1, 2, 3)]
    assert days == [100_000, 100_000, None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\ufeff" + META, "line 1: begins with a byte-order mark: expected UTF-8 without one"),
        (META.replace("0.0625", '"0,0625"'), "line 6: rate 0,0625: a decimal comma: expected a rate such as"),
        (
            META.replace("0.0625", "0,0625"),
            "line 6: 8 columns: expected 7, as in the header, and a decimal point",
        ),
        (META.replace(",", ";"), "line 3: columns are separated by semicolons: expected commas"),
        (
            META.replace("Brazil", "Brasil"),
            "line 6: unknown market Brasil: expected an ISO region, or a name",
        ),
        (META.replace("Brazil", "XX"), "line 6: unknown market XX"),
        (
            META.replace("India,USD", "India,Rupees"),
            "line 7: currency Rupees: expected three capital letters",
        ),
        (META.replace("0.0118", "0.01180001"), "line 7: rate 0.01180001: expected a rate such as 0.0625"),
        (META.replace("0.0118", "-0.0118"), "line 7: rate -0.0118"),
        (META.replace("0.0118", "0.0118 USD"), "line 7: rate 0.0118 USD"),
        (META.replace("0.0118", "1e-2"), "line 7: rate 1e-2"),
        (META.replace(",Service", ",Voice"), "line 3: unknown column voice"),
        (
            META + "Brazil,USD,0.1,0.1,0.1,n/a,n/a\n",
            "line 11: BR authentication USD from 2026-10-01 overlaps line 6",
        ),
        (META.replace("Other", '"Other'), "line 10: no CSV"),
        ("", "line 1: no header"),
        ("Market,Currency,Marketing\n", "line 1: no rates: expected a line for each market"),
        (
            SIMPLE.replace("2026-07-01", "2026-10-01"),
            "line 3: BR marketing USD from 2026-10-01 overlaps line 2",
        ),
        (SIMPLE.replace("2026-07-01", "2026-7-1"), "line 2: effective_from 2026-7-1: expected a day such as"),
        (SIMPLE.replace("2026-07-01", "2026-02-30"), "line 2: effective_from 2026-02-30: expected a day"),
        (
            SIMPLE.replace("2026-07-01", "0026-07-01"),
            "line 2: effective_from 0026-07-01: expected a day from",
        ),
        (
            SIMPLE.replace("BR,utility", "BR,x").replace("Other,utility", "Other,x"),
            "line 4: unknown category x",
        ),
        (SIMPLE.replace("rate\n", "rate,tier\n"), "line 1: unknown column tier"),
        (SIMPLE.replace("rate\n", "rate,rate\n"), "line 1: column rate is there twice: expected once"),
        (META.replace(",Utility", ",Marketing"), "line 3: column marketing is there twice: expected once"),
        (META.replace(",Utility", ",Tier"), "line 3: unknown column tier: expected market, currency"),
        (META.replace(",Utility", ","), "line 5: 0.0260 in a column without a name: expected none"),
        (SIMPLE.replace("0.0600", ""), ""),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_a_card_with_a_fault_is_refused_by_its_line(text: str, said: str) -> None:
    if not said:
        assert read_card(text.encode()).card("USD").micros("BR", "marketing", date(2026, 7, 1)) is None
        return
    assert refused(text)[0].startswith(said)


def test_every_fault_of_a_card_is_named_in_the_order_of_lines() -> None:
    text = META.replace("Brazil", "Brasil").replace("0.0118", "0,0118").replace("0.0604", "x")

    assert [complaint.partition(":")[0] for complaint in refused(text)] == ["line 6", "line 7", "line 10"]


def test_two_dates_that_overlap_are_refused_with_both_lines() -> None:
    text = (
        "effective_from,effective_until,currency,market,category,rate\n"
        "2026-10-01,2026-12-01,USD,BR,marketing,0.06\n"
        "2026-11-01,,USD,BR,marketing,0.07\n"
    )
    assert refused(text) == ["line 3: BR marketing USD from 2026-11-01 overlaps line 2"]


def test_a_card_in_another_encoding_is_refused_at_its_line() -> None:
    assert refused(META.encode() + "Türkiye".encode("latin-1")) == ["line 11: no UTF-8"]


def test_a_card_of_metas_needs_its_day() -> None:
    assert refused(META, None) == ["line 1: Meta's cards do not say from when on they hold: say it (--from)"]


def test_a_card_of_metas_holds_from_a_day_on_which_messages_may_be_sent() -> None:
    said = "line 1: --from 9999-12-31: expected a day from 2009-01-01 to 9998-12-31"
    assert refused(META, date(9999, 12, 31)) == [said]


def test_the_oldest_cards_write_dollars_in_their_own_way() -> None:
    assert read_card(META.replace(",USD,", ",$US,").encode(), OCTOBER).currencies == ["USD"]


def test_the_regions_of_areas_are_regions() -> None:
    assert AREA_OF.keys() <= REGIONS
    assert market_named("türkiye", REGIONS) == "TR"
    assert market_named("Rest of Africa", REGIONS) == "Rest of Africa"
