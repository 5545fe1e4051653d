"""Buckets: the minutes, hours, days, weeks and months of a zone, as spans of instants. Pure.

Every boundary is the first instant of a local period, so buckets follow each other without gap or overlap on
every day, those with 23 and 25 hours included. Since 1979 every zone's offset is a whole number of quarter
hours, so the boundaries of all but minutes are at quarter hours UTC.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo, available_timezones

from tally.schemas.cells import MINUTE_SECONDS, QUARTER_SECONDS

Interval = Literal["minute", "hour", "day", "week", "month"]
INTERVALS: tuple[Interval, ...] = get_args(Interval)
MOST_BUCKETS = 10_000
HOUR_SECONDS = 3_600
_DAY_SECONDS = 24 * HOUR_SECONDS
_UTC = ZoneInfo("UTC")


class TooManyBuckets(ValueError):
    """A span has more buckets than one answer shows."""


class Bucket(NamedTuple):
    """A span of instants, unix seconds: from the first one up to, not including, the last one."""

    from_s: int
    to_s: int


class Span(NamedTuple):
    """What is asked for: unix seconds, without the last one."""

    from_s: int
    to_s: int


class OffsetSpan(NamedTuple):
    """A span in which the clocks of a zone are not changed."""

    from_s: int
    to_s: int
    shift: int
    """How many quarter hours they are ahead of UTC."""
    is_month: bool
    """Whether it is a whole month, UTC."""


@lru_cache(1)
def zone_names() -> frozenset[str]:
    """Return the names of IANA's zones; `localtime`, which some systems list as well, is another on each."""
    return frozenset(available_timezones() - {"localtime"})


def zone_of(name: str) -> ZoneInfo:
    """Return a zone by its IANA name. Raises KeyError for any other text: an abbreviation means several."""
    if name not in zone_names():
        raise KeyError(name)
    return ZoneInfo(name)


def day_start_s(day: date, zone: ZoneInfo) -> int:
    """Return the first instant of a local day.

    Where clocks are put forward at midnight a day begins later than 00:00, and where they are put back to it
    00:00 comes twice; both are the first instant that has the day's date.
    """
    # fold=0: in a gap it counts with the offset before, which is the moment of the change itself.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def bucket_start_s(at_s: int, interval: Interval, zone: ZoneInfo) -> int:
    """Return the first instant of the bucket that has an instant."""
    if interval == "minute":
        return at_s - at_s % MINUTE_SECONDS
    local = _local(at_s, zone)
    if interval == "hour":
        start_s = at_s - local.minute * MINUTE_SECONDS - local.second
        # Clocks changed within the hour: it begins with the change.
        return start_s if _offset(start_s, zone) == _offset(at_s, zone) else _change_s(start_s, at_s, zone)
    return day_start_s(_first_day(local.date(), interval), zone)


def next_start_s(start_s: int, interval: Interval, zone: ZoneInfo) -> int:
    """Return the first instant of the bucket after the one that begins there."""
    if interval == "minute":
        return start_s + MINUTE_SECONDS
    local = _local(start_s, zone)
    if interval == "hour":
        next_s = start_s + HOUR_SECONDS - local.minute * MINUTE_SECONDS - local.second
        before_s = next_s - 1
        # A change exactly at the end is no other end.
        same = _offset(before_s, zone) == _offset(start_s, zone)
        return next_s if same else _change_s(start_s, before_s, zone)
    following = _next_day(_first_day(local.date(), interval), interval)
    while (next_s := day_start_s(following, zone)) <= start_s:
        following += timedelta(days=1)  # a zone that skipped a day
    return next_s


def buckets(span: Span, interval: Interval, zone: ZoneInfo) -> list[Bucket]:
    """Return the whole buckets that a span touches, in order. Raises TooManyBuckets."""
    if (span.to_s - span.from_s) // _LEAST_SECONDS[interval] > MOST_BUCKETS:
        raise TooManyBuckets(interval)
    found = list(_each(span, interval, zone))
    if len(found) > MOST_BUCKETS:
        raise TooManyBuckets(interval)
    return found


def before(span: Span, interval: Interval, zone: ZoneInfo, count: int) -> Span:
    """Return the span of so many buckets that end where the bucket begins that has the start of a span."""
    end_s = start_s = bucket_start_s(span.from_s, interval, zone)
    for _ in range(count):
        start_s = bucket_start_s(start_s - 1, interval, zone)
    return Span(start_s, end_s)


@lru_cache(64)
def offset_spans(first: date, last: date, zone: ZoneInfo) -> tuple[OffsetSpan, ...]:
    """Return the months from one's first day to another's as spans without a change of clocks, in order."""
    found: list[OffsetSpan] = []
    month = first
    while month <= last:
        following = _next_day(month, "month")
        found += _of_month(day_start_s(month, _UTC), day_start_s(following, _UTC), zone)
        month = following
    return tuple(found)


def _of_month(from_s: int, to_s: int, zone: ZoneInfo) -> Iterator[OffsetSpan]:
    start_s = from_s
    for day_s in range(from_s, to_s, _DAY_SECONDS):
        next_s = day_s + _DAY_SECONDS
        if _offset(day_s, zone) != _offset(next_s, zone):
            change_s = _change_s(day_s, next_s, zone)
            if change_s < to_s:
                yield OffsetSpan(start_s, change_s, _shift(start_s, zone), is_month=False)
                start_s = change_s
    yield OffsetSpan(start_s, to_s, _shift(start_s, zone), is_month=start_s == from_s)


def _each(span: Span, interval: Interval, zone: ZoneInfo) -> Iterator[Bucket]:
    start_s = bucket_start_s(span.from_s, interval, zone)
    while start_s < span.to_s:
        next_s = next_start_s(start_s, interval, zone)
        yield Bucket(start_s, next_s)
        start_s = next_s


_LEAST_SECONDS: dict[Interval, int] = {
    "minute": MINUTE_SECONDS,
    "hour": HOUR_SECONDS,
    "day": 23 * HOUR_SECONDS,
    "week": 6 * 24 * HOUR_SECONDS,
    "month": 27 * 24 * HOUR_SECONDS,
}
"""No longer than nearly all buckets, so that a span of far too many is refused before they are counted."""


def _first_day(day: date, interval: Interval) -> date:
    if interval == "week":
        return day - timedelta(days=day.weekday())  # ISO 8601: weeks begin on Monday
    return day.replace(day=1) if interval == "month" else day


def _next_day(first: date, interval: Interval) -> date:
    if interval == "month":
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=7 if interval == "week" else 1)


def _local(at_s: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone)


def _offset(at_s: int, zone: ZoneInfo) -> timedelta | None:
    return _local(at_s, zone).utcoffset()


def _shift(at_s: int, zone: ZoneInfo) -> int:
    return (_offset(at_s, zone) or timedelta()) // timedelta(seconds=QUARTER_SECONDS)


def _change_s(low_s: int, high_s: int, zone: ZoneInfo) -> int:
    """Return the first quarter hour after which the offset is that of the later instant."""
    at_s = high_s - high_s % QUARTER_SECONDS
    while at_s - QUARTER_SECONDS >= low_s and _offset(at_s - 1, zone) == _offset(high_s, zone):
        at_s -= QUARTER_SECONDS
    return at_s
