"""A parameter takes effect, or the request is refused."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.campaigns_page import CampaignsQuery
from tally.agents.view.recent import Rank
from tally.schemas.keys import Template
from tally.streams.web.campaign_list import PARAMETERS as CAMPAIGNS
from tally.streams.web.campaign_list import read_list_query
from tally.streams.web.cursors import of_campaign, of_name, of_pair, read_campaign, read_name, read_pair
from tally.streams.web.operators import PARAMETERS
from tally.streams.web.parameters import (
    BadParameter,
    Id,
    Parameter,
    check_query,
    checked_target,
    expected_of,
    limit_parameter,
    read_id,
)
from tally.streams.web.routes import WITH_KEY

UUID = "0B5E2C1E-7F7A-4A59-9D0E-2F3A4B5C6D7E"


def listed(query: dict[str, list[str]]) -> CampaignsQuery:
    """Check a query by its declared types, and read it, as a server does."""
    check_query(query, CAMPAIGNS)
    return read_list_query(query)


@given(st.integers(0, 253_402_300_799_999), st.text(min_size=1, max_size=128))
def test_a_cursor_leads_back_to_its_place(last_ms: int, campaign: str) -> None:
    cursor = of_campaign(Rank(-last_ms, campaign))
    assert cursor is not None
    assert cursor.isascii()
    assert read_campaign(cursor) == Rank(-last_ms, campaign)


@given(st.text(max_size=64), st.text(max_size=64))
def test_a_cursor_of_names_leads_back_to_its_place(name: str, other: str) -> None:
    one, pair = of_name(name), of_pair(Template(name, other))
    assert one
    assert pair
    assert (read_name(one), read_pair(pair)) == (name, Template(name, other))


@given(st.text(max_size=40))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    pairs: list[tuple[Any, Any]] = [
        (read_campaign, of_campaign),
        (read_name, of_name),
        (read_pair, of_pair),
    ]
    for read, write in pairs:
        try:
            place = read(text)
        except BadParameter:
            continue
        assert write(place) == text


def test_the_last_page_has_no_cursor() -> None:
    assert of_campaign(None) is of_name(None) is of_pair(None) is None


def test_without_parameters_a_list_has_its_defaults() -> None:
    assert read_list_query({}) == CampaignsQuery(after=None, limit=50, since_ms=0, ids=frozenset())


def test_ids_are_repeated_or_separated_by_commas_and_uuids_are_lower_case() -> None:
    query = listed({"id": ["c1,c2", UUID, "C3"]})
    assert query.ids == {"c1", "c2", UUID.lower(), "C3"}


@pytest.mark.parametrize(
    ("since", "expected_ms"),
    [
        ("1795350876120", 1_795_350_876_120),
        ("2026-11-22T12:34:36.120Z", 1_795_350_876_120),
        ("2026-11-22T13:34:36.12+01:00", 1_795_350_876_120),
        ("0", 0),
    ],
)
def test_since_is_unix_milliseconds_or_rfc_3339(since: str, expected_ms: int) -> None:
    assert listed({"since": [since]}).since_ms == expected_ms


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("limit", [text]) for text in ("0", "501", "-1", "1.5", "", "ten", "٣", "1" * 5000)),
        *(("since", [text]) for text in ("yesterday", "", "-1", "2026-11-22", "2026-11-22T12:34:36")),
        ("since", ["9" * 18]),
        *(("cursor", [text]) for text in ("", "!", "MTI", "ü", "=" * 3)),
        *(("id", [text]) for text in ("", "a,,b", "x" * 129, "a\0b")),
        ("id", [",".join(map(str, range(501)))]),
        ("limit", ["1", "2"]),
        ("since", ["1", "2"]),
        ("cursor", ["MTpj", "MTpj"]),
    ],
)
def test_a_malformed_parameter_is_refused_by_name(name: str, values: list[str]) -> None:
    with pytest.raises(BadParameter, match=name):
        listed({name: values})


@pytest.mark.parametrize(
    ("known", "named"),
    [(CAMPAIGNS, "cursor, limit, since, id"), (PARAMETERS, "pbx, state, cursor, limit"), ((), "none")],
)
def test_a_parameter_that_nobody_reads_is_refused_and_the_known_ones_are_named(
    known: Sequence[Parameter], named: str
) -> None:
    """Else `sicne` would answer with everything."""
    with pytest.raises(BadParameter, match=f"unknown parameter 'sicne': expected are {named}"):
        check_query({"sicne": ["1"]}, known)


@pytest.mark.parametrize(
    ("parameter", "values", "message"),
    [
        (limit_parameter(500, 50), ["501"], "limit must be a whole number from 1 to 500"),
        (limit_parameter(500, 50), ["1e2"], "limit must be a whole number from 1 to 500"),
        (limit_parameter(500, 50), ["5.0"], "limit must be a whole number from 1 to 500"),
        (limit_parameter(500, 50), ["1", "1"], "limit must be given once"),
        (Parameter("state", Literal["on", "off"], ""), ["no"], "state must be one of on, off"),
        (Parameter("campaigns", Literal["1"], ""), ["2"], "campaigns must be 1"),
        (Parameter("id", Id, "", "an id", 2), ["a", "b", "c"], "id may have at most 2 values"),
        (Parameter("id", Id, "", "an id", 2, has_commas=True), ["a,b,c"], "id may have at most 2 values"),
        (Parameter("id", Id, "", "an id", 2), ["a\0"], "id must be an id"),
    ],
)
def test_a_refusal_says_what_was_expected(parameter: Parameter, values: list[str], message: str) -> None:
    with pytest.raises(BadParameter, match=message):
        parameter.check(values)


def test_every_type_of_a_parameter_says_what_it_expects() -> None:
    for one in (parameter for endpoint in WITH_KEY for parameter in endpoint.parameters):
        assert one.expected or expected_of(one.type), f"{one.name}: say what a value must be (`expected`)"


def test_the_limits_of_limit_are_allowed() -> None:
    assert [listed({"limit": [text]}).limit for text in ("1", "500")] == [1, 500]


def test_an_id_is_text_as_it_was_counted() -> None:
    assert read_id("campaign", UUID) == UUID.lower()
    assert read_id("campaign", "4001") == "4001"
    assert read_id("campaign", "Promo") == "Promo"
    for bad in ("", "x" * 129, "a\0"):
        with pytest.raises(BadParameter, match="campaign"):
            read_id("campaign", bad)


@pytest.mark.parametrize("target", ["/v1/%FF", "/v1?id=%C3%28", "/v1/\udcff"])
def test_an_address_that_is_not_utf_8_is_refused(target: str) -> None:
    with pytest.raises(BadParameter, match="UTF-8"):
        checked_target(target)


def test_any_other_address_passes() -> None:
    checked_target("/v1/%E6%97%A5%2F%25?id=a+b%2C&x=%zz")
