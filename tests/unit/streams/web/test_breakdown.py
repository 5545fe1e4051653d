"""Breakdowns: what is asked for, and answers that close."""

from typing import Any

import pytest

from tally.streams.web.breakdown import MOST_GROUPS, PARAMETERS, Asked, answered, read_breakdown
from tally.streams.web.parameters import BadParameter, NotTold, check_query
from tally.tables.postgres.breakdown import WAYS, Group


def asked(**query: str) -> Asked:
    given = {name: [value] for name, value in query.items()}
    check_query(given, PARAMETERS)
    return read_breakdown(given)


@pytest.mark.parametrize("by", WAYS)
def test_a_campaign_in_which_nothing_is_counted_has_zeros_and_no_rates(by: str) -> None:
    wanted = asked(by=by)
    answer = answered(wanted, dict.fromkeys(wanted.counters, 0), [])

    assert set(answer["totals"].values()) == {0}
    assert all(rate["value"] is None for rate in answer["rates"].values())
    assert len(answer["groups"]) == (24 if by == "hour" else 0)
    for group in answer["groups"]:
        assert set(group["counters"].values()) == {0}


@pytest.mark.parametrize(
    ("query", "error", "says"),
    [
        ({}, BadParameter, "by must be one of template, number, market, error, category, hour"),
        ({"by": "country"}, BadParameter, "by must be one of"),
        ({"by": "market", "timezone": "UTC"}, BadParameter, "timezone is for by=hour"),
        ({"by": "hour", "timezone": "CET+1"}, BadParameter, "IANA name"),
        ({"by": "market", "interval": "day"}, BadParameter, "unknown parameter 'interval'"),
        ({"by": "error", "counter": "failed"}, NotTold, "by=error, which has failed alone"),
        ({"by": "category", "counter": "read"}, NotTold, "by=category, which has accepted alone"),
        ({"by": "number", "counter": "errors"}, NotTold, "counter=errors is not told with by=number"),
        ({"by": "hour", "counter": "queue_waits"}, NotTold, "accepted"),
    ],
)
def test_what_is_not_told_is_refused_with_what_is(
    query: dict[str, str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        asked(**query)


def test_groups_come_largest_first_each_with_its_rates() -> None:
    found = [
        Group(("ES",), {"accepted": 4, "delivered": 3}),
        Group(("",), {"accepted": 9, "delivered": 0}),
        Group(("BR",), {"accepted": 4, "delivered": 4}),
    ]

    answer = answered(
        asked(by="market", counter="accepted,delivered"), {"accepted": 17, "delivered": 7}, found
    )

    assert [(group["market"], group["counters"]["accepted"]) for group in answer["groups"]] == [
        ("", 9),
        ("BR", 4),
        ("ES", 4),
    ]
    assert answer["groups"][2]["rates"] == {"delivery": {"value": 0.75, "of": "accepted"}}
    assert answer["rates"] == {"delivery": {"value": 0.4118, "of": "accepted"}}
    assert "groups_more" not in answer


def test_what_is_not_shown_is_one_entry_of_numbers_that_add_up() -> None:
    found = [
        Group((f"t{nth:04}", "en"), {"accepted": 5, "contacts_accepted": 4}) for nth in range(MOST_GROUPS + 3)
    ]

    answer = answered(asked(by="template", counter="accepted,contacts_accepted"), _sums(found), found)

    assert len(answer["groups"]) == MOST_GROUPS
    assert answer["groups"][0]["template"] == {"name": "t0000", "language": "en"}
    assert answer["groups_more"] == {"groups": 3, "counters": {"accepted": 15}, "rates": {}}


def _sums(found: list[Group]) -> dict[str, int]:
    return {name: sum(group.counts[name] for group in found) for name in found[0].counts}


def test_every_hour_is_there_in_order() -> None:
    answer = answered(
        asked(by="hour", timezone="Asia/Kathmandu", counter="accepted"),
        {"accepted": 3},
        [Group((23,), {"accepted": 1}), Group((5,), {"accepted": 2})],
    )

    assert answer["timezone"] == "Asia/Kathmandu"
    assert [group["hour"] for group in answer["groups"]] == list(range(24))
    assert {group["hour"]: group["counters"]["accepted"] for group in answer["groups"]} == {
        **dict.fromkeys(range(24), 0),
        5: 2,
        23: 1,
    }


def test_reasons_and_categories_add_up_to_the_number_that_they_are_of() -> None:
    reasons = [Group(("meta:131026",), {"failed": 3}), Group(("gateway:timeout",), {"failed": 1})]
    answer: dict[str, Any] = answered(asked(by="error"), {"failed": 4}, reasons)
    assert [(one["error"], one["counters"]["failed"], one["share"]) for one in answer["groups"]] == [
        ("meta:131026", 3, 0.75),
        ("gateway:timeout", 1, 0.25),
    ]

    prices = [
        Group(("marketing/regular",), {"accepted": 5}),
        Group(("utility/free_customer_service",), {"accepted": 1}),
        Group(("marketing/free_entry_point",), {"accepted": 2}),
    ]
    answer = answered(asked(by="category"), {"accepted": 10}, prices)
    assert answer["groups"] == [
        {
            "category": "marketing",
            "types": {"free_entry_point": 2, "regular": 5},
            "counters": {"accepted": 7},
            "share": 0.7,
        },
        # No price was said yet.
        {"category": "", "types": {"": 2}, "counters": {"accepted": 2}, "share": 0.2},
        {
            "category": "utility",
            "types": {"free_customer_service": 1},
            "counters": {"accepted": 1},
            "share": 0.1,
        },
    ]
