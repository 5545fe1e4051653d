"""The parameters of a request for a series of numbers over time. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

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
    zone_of,
)
from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.errors import BadEvent
from tally.schemas.fields import unix_ms
from tally.schemas.grains import Grain
from tally.streams.web.parameters import BadParameter, checked_names, single
from tally.tables.postgres.series import GROUPED, Attribution, GroupBy, possible

PARAMETERS = ("interval", "attribution", "timezone", "from", "to", "counter", "group_by", "compare")
COMPARED = "previous_period"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BY_DEFAULT: Mapping[Interval, int] = {"minute": 60, "hour": 48, "day": 30, "week": 12, "month": 12}
"""How many buckets are shown where `from` is not given, the present one included."""
FIRST, LAST = date(2009, 1, 1), date(9998, 12, 31)


class NotTold(Exception):
    """No cell can tell what is asked for; the message says what is possible."""


class SeriesQuery(Struct, frozen=True):
    """What is asked for, with the buckets that show it."""

    interval: Interval
    attribution: Attribution
    zone: ZoneInfo
    span: Span
    buckets: tuple[Bucket, ...]
    counters: tuple[str, ...]
    group_by: GroupBy | None
    previous: tuple[Bucket, ...] = ()
    """As many buckets right before the first one; empty where they are not asked for."""


def read_series_query(
    query: Mapping[str, Sequence[str]], now_s: int, grain: Grain, *, only: Attribution | None = None
) -> SeriesQuery:
    """Return what is asked for of a grain; `only` is set where there is one attribution.

    Raises BadParameter for what cannot be read, and NotTold for what no cell can tell.
    """
    checked_names(query, PARAMETERS)
    interval: Interval = _one_of(query, "interval", INTERVALS, "day")
    attribution: Attribution = _one_of(query, "attribution", ("send", "event"), only or "send")
    group_by: GroupBy | None = _one_of(query, "group_by", tuple(GROUPED), None)
    _one_of(query, "compare", (COMPARED,), None)
    zone = _zone(single(query, "timezone") or "UTC")
    _told(interval, attribution, group_by, only)
    counters = _counters(query.get("counter", ()), possible(grain, attribution), attribution)
    span = _span(single(query, "from"), single(query, "to"), now_s, interval, zone)
    shown = _buckets(span, interval, zone)
    previous: list[Bucket] = []
    if single(query, "compare") is not None:
        previous = _buckets(before(span, interval, zone, len(shown)), interval, zone)
    return SeriesQuery(interval, attribution, zone, span, tuple(shown), counters, group_by, tuple(previous))


def _one_of(query: Mapping[str, Sequence[str]], name: str, values: Sequence[str], default: str | None) -> Any:
    value = single(query, name)
    if value is None:
        return default
    if value not in values:
        raise BadParameter(f"{name} must be one of {', '.join(values)}")
    return value


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_of(name)
    except KeyError:
        raise BadParameter("timezone must be an IANA name, such as Europe/Amsterdam or UTC") from None


def _told(
    interval: Interval, attribution: Attribution, group_by: GroupBy | None, only: Attribution | None
) -> None:
    if only is not None and attribution != only:
        raise NotTold(f"attribution={attribution} is not told here: attribution={only} is")
    if interval == "minute":
        raise NotTold("interval=minute is not told: hour, day, week and month are")
    if attribution == "event" and group_by in ("template", "market"):
        raise NotTold(f"group_by={group_by} is told with attribution=send; with event group_by=number is")


def _counters(values: Sequence[str], possible_: Sequence[str], attribution: Attribution) -> tuple[str, ...]:
    asked = [name for value in values for name in value.split(",")]
    for name in asked:
        if name not in possible_:
            raise NotTold(
                f"counter={name[:64]} is not told with attribution={attribution}: {', '.join(possible_)} are"
            )
    return tuple(name for name in possible_ if not asked or name in asked)


def _span(begin: str | None, end: str | None, now_s: int, interval: Interval, zone: ZoneInfo) -> Span:
    dates = [bool(_DATE.fullmatch(text)) for text in (begin, end) if text is not None]
    if len(set(dates)) > 1:
        raise BadParameter("from and to must both be dates, or both instants")
    to_s = _to_s(end, zone) if end is not None else now_s - now_s % QUARTER_SECONDS + QUARTER_SECONDS
    if begin is None:
        last = Span(bucket_start_s(to_s - 1, interval, zone), to_s)
        from_s = before(last, interval, zone, _BY_DEFAULT[interval] - 1).from_s
    else:
        from_s = day_start_s(_date("from", begin), zone) if dates[0] else _instant_s("from", begin)
    if from_s >= to_s:
        raise BadParameter("from must be before to")
    return Span(from_s, to_s)


def _to_s(text: str, zone: ZoneInfo) -> int:
    """Return the end of a span: that of its last day, or an instant that is not part of it."""
    if _DATE.fullmatch(text):
        return day_start_s(_date("to", text) + timedelta(days=1), zone)
    return _instant_s("to", text)


def _date(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not FIRST <= found <= LAST:
        raise BadParameter(f"{name} must be a date from 2009 on, such as 2026-11-30")
    return found


def _instant_s(name: str, text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    try:
        at_ms = unix_ms(int(text) if is_number else text, name)
    except BadEvent:
        raise BadParameter(
            f"{name} must be a date (2026-11-30), unix milliseconds, or RFC 3339 with a zone"
            " (in an address + is written %2B)"
        ) from None
    if at_ms % (QUARTER_SECONDS * 1000):
        raise BadParameter(f"{name} must be at a quarter hour: that is what numbers are kept by")
    return at_ms // 1000


def _buckets(span: Span, interval: Interval, zone: ZoneInfo) -> list[Bucket]:
    try:
        return buckets(span, interval, zone)
    except TooManyBuckets:
        raise BadParameter(
            f"these are more than {MOST_BUCKETS} buckets: take a longer interval or a shorter span"
        ) from None


def told(at_s: int, zone: ZoneInfo) -> str:
    """Return an instant as a zone's clock shows it, with its offset."""
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).isoformat()
