"""The comparison of two counts: missing is lost, surplus is doubled."""

import pytest

from tally.oracle.api import quantile
from tally.oracle.comparison import Key, Numbers, deviation, differences, same


def test_what_neither_has_is_no_difference() -> None:
    assert differences({("t", "c"): {"sent": 0, "errors": {}}}, {}) == []


def test_every_wrong_counter_is_named_and_summed() -> None:
    found = differences(
        {("t", "a"): {"sent": 3, "read": 1}, ("t", "b"): {"sent": 1}}, {("t", "a"): {"sent": 1, "read": 2}}
    )

    assert [(each.key, each.counter) for each in found] == [
        (("t", "a"), "sent"),
        (("t", "a"), "read"),
        (("t", "b"), "sent"),
    ]
    assert (deviation(found).lost, deviation(found).doubled) == (3, 1)


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        ({"count": 2, "p50_ms": 100_000}, {"count": 2, "p50_ms": 101_000}, True),
        ({"count": 2, "p50_ms": 100_000}, {"count": 2, "p50_ms": 102_000}, False),
        ({"count": 2, "p50_ms": 1_000}, {"count": 3, "p50_ms": 1_000}, False),
        ({"count": 0, "p50_ms": None}, None, True),
    ],
)
def test_percentiles_may_be_off_by_half_a_bucket_and_counts_not_at_all(
    expected: dict[str, int | None], actual: dict[str, int | None] | None, equal: bool
) -> None:
    assert same("time_to_read", expected, actual) is equal


def test_a_quantile_is_that_of_what_came_between_two_readings() -> None:
    before = {0.1: 10.0, 0.2: 10.0, float("inf"): 10.0}
    after = {0.1: 10.0, 0.2: 20.0, float("inf"): 20.0}

    assert quantile(before, after, 0.5) == pytest.approx(0.15)
    assert quantile(before, before, 0.5) == 0.0


def test_what_is_said_of_a_campaign_is_compared_and_an_operators_name_is_none_of_it() -> None:
    campaign, operator = ("t1", "c1"), ("t1", "(operators)", "pbx1", "PJSIP/201")
    recounted: dict[Key, Numbers] = {
        campaign: {"name": "November", "tags": ["a"], "planned": 7},
        operator: {"connects": 1},
    }
    found: dict[Key, Numbers] = {
        campaign: {"name": "December", "tags": ["a"]},
        operator: {"connects": 1, "name": "Ann"},
    }

    assert [(one.key, one.counter) for one in differences(recounted, found)] == [
        (campaign, "name"),
        (campaign, "planned"),
    ]
