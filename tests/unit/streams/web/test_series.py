"""Answers of numbers over time: how far the period before counts, and how much one answer shows."""

from datetime import datetime

import pytest

from tally.schemas.buckets import MOST_BUCKETS
from tally.streams.web.series import answered, elapsed, is_shown, within
from tally.streams.web.series_parameters import SeriesQuery, read_series_query
from tally.tables.postgres.series import MOST_POINTS, Point


def _s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


NOW_S = _s("2026-06-10T12:07:30+00:00")


def read(**query: str) -> SeriesQuery:
    given = {name.rstrip("_"): [value] for name, value in query.items()}
    return read_series_query({**given, "compare": ["previous_period"]}, NOW_S)


@pytest.mark.parametrize(
    ("asked", "begins", "ends"),
    [
        # Three days of which the last one is at 12:15.
        (read(from_="2026-06-08", to="2026-06-10"), "2026-06-05T00:00:00Z", "2026-06-07T12:15:00Z"),
        # Both ends lie within a bucket.
        (
            read(from_="2026-06-08T06:00:00Z", to="2026-06-09T18:00:00Z"),
            "2026-06-06T06:00:00Z",
            "2026-06-07T18:00:00Z",
        ),
        # All of it lies before now.
        (
            read(from_="2026-05-01", to="2026-05-31", interval="month"),
            "2026-04-01T00:00:00Z",
            "2026-05-01T00:00:00Z",
        ),
        # All of it is yet to come.
        (read(from_="2026-07-01", to="2026-07-02"), "2026-06-29T00:00:00Z", "2026-06-29T00:15:00Z"),
    ],
)
def test_the_period_before_counts_between_the_same_times_of_its_buckets(
    asked: SeriesQuery, begins: str, ends: str
) -> None:
    found = elapsed(asked, NOW_S)

    assert (found[0].from_s, found[-1].to_s) == (_s(begins), _s(ends))


def test_what_lies_outside_of_a_span_is_in_no_bucket() -> None:
    asked = read(from_="2026-06-08T06:00:00Z", to="2026-06-09T18:00:00Z")

    assert within(asked.buckets, *asked.span) == (
        (_s("2026-06-08T06:00:00Z"), _s("2026-06-09T00:00:00Z")),
        (_s("2026-06-09T00:00:00Z"), _s("2026-06-09T18:00:00Z")),
    )


def test_an_answer_shows_at_most_so_many_groups_and_buckets() -> None:
    asked = read(from_="2026-06-01", to="2026-06-10", group_by="market")
    points = [Point(nth % 10, (str(nth // 10),), {"accepted": 1}) for nth in range(MOST_BUCKETS)]

    assert is_shown(asked, [points, [], []])
    assert not is_shown(asked, [[*points, Point(0, ("one more",), {"accepted": 1})], [], []])
    assert not is_shown(asked, [[], [points[0]] * MOST_POINTS, []])


def test_groups_are_listed_once_with_each_bucket_and_their_totals_come_to_the_answers() -> None:
    asked = read(from_="2026-06-09", to="2026-06-10", group_by="market", counter="accepted,read")
    points = [
        Point(0, ("ES",), {"accepted": 2}),
        Point(1, ("ES",), {"accepted": 1, "read": 1}),
        Point(1, ("",), {"accepted": 4}),
    ]

    answer = answered(asked, [points, [], []], None)

    assert answer["totals"] == {"accepted": 7, "read": 1}
    assert answer["groups"] == [
        {
            "market": "",
            "totals": {"accepted": 4, "read": 0},
            "buckets": [{"accepted": 0, "read": 0}, {"accepted": 4, "read": 0}],
        },
        {
            "market": "ES",
            "totals": {"accepted": 3, "read": 1},
            "buckets": [{"accepted": 2, "read": 0}, {"accepted": 1, "read": 1}],
        },
    ]
    assert [bucket["is_complete"] for bucket in answer["buckets"]] == [False, False]
