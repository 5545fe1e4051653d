"""Buckets of every zone: no gap, no overlap, and boundaries where the zone's clocks say."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.buckets import (
    INTERVALS,
    MOST_BUCKETS,
    Bucket,
    Interval,
    Span,
    TooManyBuckets,
    before,
    bucket_start_s,
    buckets,
    day_start_s,
    next_start_s,
    offset_spans,
    zone_names,
    zone_of,
)

QUARTER = 900
HOUR = 3_600


def _s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


YEARS = Span(_s("2026-01-01T00:00:00+00:00"), _s("2029-01-01T00:00:00+00:00"))


def _local(at_s: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone)


def _hours(day: str, zone: str) -> list[int]:
    start = day_start_s(date.fromisoformat(day), zone_of(zone))
    span = Span(start, next_start_s(start, "day", zone_of(zone)))
    return [(one.to_s - one.from_s) // 60 for one in buckets(span, "hour", zone_of(zone))]


def test_days_of_every_zone_begin_at_local_midnight_and_at_a_quarter_hour() -> None:
    for name in zone_names():
        zone = zone_of(name)
        days = buckets(YEARS, "day", zone)
        assert all(one.to_s == other.from_s for one, other in pairwise(days)), name
        for one in days:
            first, last = _local(one.from_s, zone).date(), _local(one.from_s - 1, zone).date()
            assert one.from_s % QUARTER == 0, name
            assert (first - last).days == 1, (name, first)


def test_every_zone_has_whole_hours_on_the_days_on_which_its_clocks_change() -> None:
    for name in zone_names():
        zone = zone_of(name)
        changed = [one for one in buckets(YEARS, "day", zone) if one.to_s - one.from_s != 24 * HOUR]
        for day in changed:
            hours = buckets(Span(*day), "hour", zone)
            assert (hours[0].from_s, hours[-1].to_s) == day, name
            assert all(one.to_s == other.from_s for one, other in pairwise(hours)), name
            for one in hours:
                start, end = _local(one.from_s, zone), _local(one.to_s - 1, zone)
                assert one.from_s % QUARTER == 0
                assert (start.hour, start.utcoffset()) == (end.hour, end.utcoffset()), (name, start)


@pytest.mark.parametrize(
    ("day", "zone", "minutes"),
    [
        ("2026-03-29", "Europe/Amsterdam", [60] * 23),
        ("2026-10-25", "Europe/Amsterdam", [60] * 25),
        ("2026-11-01", "America/New_York", [60] * 25),
        ("2026-04-24", "Africa/Cairo", [60] * 23),  # 00:00 is skipped
        ("2026-10-29", "Africa/Cairo", [60] * 25),  # 23:00 comes twice
        ("2026-11-01", "America/Havana", [60] * 25),  # 00:00 comes twice
        ("2026-10-04", "Australia/Lord_Howe", [60, 60, 30, *[60] * 21]),  # half an hour is skipped
        ("2026-04-05", "Australia/Lord_Howe", [60, 60, 30, *[60] * 22]),  # half an hour comes twice
        ("2026-06-01", "Asia/Kathmandu", [60] * 24),
    ],
)
def test_an_hour_is_as_long_as_the_clock_shows_it(day: str, zone: str, minutes: list[int]) -> None:
    assert _hours(day, zone) == minutes


def test_weeks_begin_on_monday_and_months_on_their_first_day() -> None:
    for name in ("Europe/Amsterdam", "America/Havana", "Pacific/Apia", "Asia/Tehran"):
        zone = zone_of(name)
        assert {_local(one.from_s, zone).weekday() for one in buckets(YEARS, "week", zone)} == {0}
        assert {_local(one.from_s, zone).day for one in buckets(YEARS, "month", zone)} == {1}
        assert len(buckets(Span(*YEARS), "month", zone)) in (36, 37)


def test_a_day_that_a_zone_skipped_has_no_bucket() -> None:
    apia = zone_of("Pacific/Apia")
    span = Span(day_start_s(date(2011, 12, 29), apia), day_start_s(date(2011, 12, 31), apia))

    assert [_local(one.from_s, apia).day for one in buckets(span, "day", apia)] == [29]


@given(
    st.integers(YEARS.from_s, YEARS.to_s),
    st.sampled_from(INTERVALS),
    st.sampled_from(sorted(zone_names())),
)
def test_the_bucket_of_an_instant_begins_with_itself_and_ends_where_the_next_begins(
    at_s: int, interval: Interval, name: str
) -> None:
    zone = zone_of(name)
    start_s = bucket_start_s(at_s, interval, zone)
    next_s = next_start_s(start_s, interval, zone)

    assert start_s <= at_s < next_s
    assert bucket_start_s(start_s, interval, zone) == start_s
    assert bucket_start_s(next_s - 1, interval, zone) == start_s
    assert bucket_start_s(next_s, interval, zone) == next_s


@given(st.integers(YEARS.from_s, YEARS.to_s), st.sampled_from(INTERVALS), st.integers(1, 40))
def test_the_period_before_has_as_many_buckets_and_ends_where_the_span_begins(
    at_s: int, interval: Interval, count: int
) -> None:
    zone = zone_of("Europe/Amsterdam")
    found = buckets(before(Span(at_s, at_s + 1), interval, zone, count), interval, zone)

    assert len(found) == count
    assert found[-1].to_s == bucket_start_s(at_s, interval, zone)


def test_a_span_has_the_whole_buckets_that_it_touches() -> None:
    span = Span(_s("2026-06-01T13:15:00+00:00"), _s("2026-06-03T00:00:00+00:00"))

    assert buckets(span, "day", zone_of("UTC")) == [
        Bucket(_s("2026-06-01T00:00:00+00:00"), _s("2026-06-02T00:00:00+00:00")),
        Bucket(_s("2026-06-02T00:00:00+00:00"), _s("2026-06-03T00:00:00+00:00")),
    ]


@pytest.mark.parametrize("interval", INTERVALS)
def test_too_many_buckets_are_refused_before_they_are_made(interval: Interval) -> None:
    utc = zone_of("UTC")
    with pytest.raises(TooManyBuckets):
        buckets(Span(0, _s("9990-01-01T00:00:00+00:00")), interval, utc)
    lengths: dict[Interval, int] = {"minute": 60, "hour": HOUR}
    for some, seconds in lengths.items():
        assert len(buckets(Span(0, MOST_BUCKETS * seconds), some, utc)) == MOST_BUCKETS
        with pytest.raises(TooManyBuckets):
            buckets(Span(0, MOST_BUCKETS * seconds + 1), some, utc)


@pytest.mark.parametrize(
    "name", ["CEST", "Mars/Olympus", "", "europe/amsterdam", "../etc/passwd", "+02:00", "localtime"]
)
def test_only_names_of_iana_are_zones(name: str) -> None:
    with pytest.raises(KeyError):
        zone_of(name)


@pytest.mark.parametrize(
    "name",
    [
        "UTC",
        "Europe/Amsterdam",
        "America/Havana",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kathmandu",
    ],
)
def test_spans_of_one_offset_follow_each_other_and_shift_by_what_the_clock_shows(name: str) -> None:
    zone = zone_of(name)
    spans = offset_spans(date(2026, 1, 1), date(2027, 12, 1), zone)

    assert (spans[0].from_s, spans[-1].to_s) == (YEARS.from_s, _s("2028-01-01T00:00:00+00:00"))
    assert all(one.to_s == other.from_s for one, other in pairwise(spans))
    for span in spans:
        for at_s in range(span.from_s, span.to_s, 3 * HOUR):
            assert _local(at_s, zone).utcoffset() == timedelta(seconds=span.shift * QUARTER)
        assert _local(span.to_s - 1, zone).utcoffset() == timedelta(seconds=span.shift * QUARTER)
        ends = [_local(at_s, zone_of("UTC")) for at_s in (span.from_s, span.to_s)]
        assert span.is_month == all((at.day, at.hour) == (1, 0) for at in ends)
