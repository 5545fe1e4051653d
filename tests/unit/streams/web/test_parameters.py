"""A parameter takes effect, or the request is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.recent import Rank
from tally.streams.web.operators import read_operators_query
from tally.streams.web.parameters import (
    BadParameter,
    ListQuery,
    checked_target,
    read_cursor,
    read_id,
    read_list_query,
    write_cursor,
)

UUID = "0B5E2C1E-7F7A-4A59-9D0E-2F3A4B5C6D7E"


@given(st.integers(0, 253_402_300_799_999), st.text(min_size=1, max_size=128))
def test_a_cursor_leads_back_to_its_place(last_ms: int, campaign: str) -> None:
    cursor = write_cursor(Rank(-last_ms, campaign))
    assert cursor is not None
    assert cursor.isascii()
    assert read_cursor(cursor) == Rank(-last_ms, campaign)


@given(st.text(max_size=40))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    try:
        place = read_cursor(text)
    except BadParameter:
        return
    assert write_cursor(place) == text


def test_the_last_page_has_no_cursor() -> None:
    assert write_cursor(None) is None


def test_without_parameters_a_list_has_its_defaults() -> None:
    assert read_list_query({}) == ListQuery(after=None, limit=50, since_ms=0, ids=frozenset())


def test_ids_are_repeated_or_separated_by_commas_and_uuids_are_lower_case() -> None:
    query = read_list_query({"id": ["c1,c2", UUID, "C3"]})
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
    assert read_list_query({"since": [since]}).since_ms == expected_ms


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
        read_list_query({name: values})


@pytest.mark.parametrize(
    ("read", "known"),
    [(read_list_query, "cursor, limit, since, id"), (read_operators_query, "pbx, state, cursor, limit")],
)
def test_a_parameter_that_nobody_reads_is_refused_and_the_known_ones_are_named(
    read: Callable[[dict[str, list[str]]], object], known: str
) -> None:
    """Else `sicne` would answer with everything."""
    with pytest.raises(BadParameter, match=f"unknown parameter 'sicne': expected are {known}"):
        read({"sicne": ["1"]})


def test_the_limits_of_limit_are_allowed() -> None:
    assert [read_list_query({"limit": [text]}).limit for text in ("1", "500")] == [1, 500]


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
