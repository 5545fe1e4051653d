"""The parameters of a request for a series of numbers over time. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

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
from tally.schemas.cells import MINUTE_SECONDS, QUARTER_SECONDS
from tally.schemas.counters import BY_QUEUE
from tally.schemas.errors import BadEvent
from tally.schemas.fields import unix_ms
from tally.schemas.grains import CAMPAIGN, OPERATOR, Grain
from tally.streams.web.parameters import BadParameter, NotTold, Parameter, single
from tally.tables.postgres.minutes import KEPT_HOURS
from tally.tables.postgres.series import ATTRIBUTIONS, GROUPED, Attribution, GroupBy, possible

COMPARED = "previous_period"
MOST_COUNTERS = 100
DAY_OR_INSTANT = Annotated[
    str,
    Meta(extra_json_schema={"anyOf": [{"format": "date"}, {"format": "date-time"}, {"pattern": "^[0-9]+$"}]}),
]
DAY_EXPECTED = "a date, or an instant: unix milliseconds, or RFC 3339 with a zone"
TIMEZONE = Parameter("timezone", str, "a name of IANA's list; UTC if not given", "an IANA name")
COUNTER = Parameter(
    "counter", str, "numbers; all that are told if not given", "names", MOST_COUNTERS, has_commas=True
)
PARAMETERS = (
    Parameter("interval", Interval, "length of a bucket; day if not given"),
    Parameter(
        "attribution", Attribution, "by when it was sent, or by when things happened; send if not given"
    ),
    TIMEZONE,
    Parameter("from", DAY_OR_INSTANT, "the first day, or where it begins", DAY_EXPECTED),
    Parameter("to", DAY_OR_INSTANT, "the last day, or where it ends; now if not given", DAY_EXPECTED),
    COUNTER,
    Parameter("group_by", GroupBy, "what else buckets are divided by"),
    Parameter("compare", Literal["previous_period"], "as many buckets right before, too"),
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BY_DEFAULT: Mapping[Interval, int] = {"minute": 60, "hour": 48, "day": 30, "week": 12, "month": 12}
"""How many buckets are shown where `from` is not given, the present one included."""
MINUTE: Interval = "minute"
"""What is kept of activity alone, and for `KEPT_HOURS`."""
LONG_INTERVALS = tuple(interval for interval in INTERVALS if interval != MINUTE)
FIRST, LAST = date(2009, 1, 1), date(9998, 12, 31)
LAST_S = day_start_s(LAST, zone_of("UTC"))
"""No zone's clock shows a year after it that no date can have."""


class Subject(Struct, frozen=True):
    """What a series is of, and what cells can tell of it."""

    grain: Grain = CAMPAIGN
    attributions: tuple[Attribution, ...] = ATTRIBUTIONS
    """The first is taken where none is given."""
    groups: tuple[GroupBy, ...] = tuple(GROUPED)
    counters: tuple[str, ...] | None = None
    """None where all are told that its grain has."""

    def possible(self, attribution: Attribution) -> tuple[str, ...]:
        """Return the numbers that can be told."""
        return self.counters or possible(self.grain, attribution)


CAMPAIGNS = Subject()
AN_OPERATOR = Subject(OPERATOR, ("send",), groups=())
A_QUEUE = Subject(CAMPAIGN, ("event",), ("number",), BY_QUEUE)


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
    query: Mapping[str, Sequence[str]], now_s: int, subject: Subject = CAMPAIGNS
) -> SeriesQuery:
    """Return what is asked for of a subject.

    Raises BadParameter for what cannot be read, and NotTold for what no cell can tell.
    """
    interval: Interval = _one_of(query, "interval", INTERVALS, "day")
    usual = "event" if interval == MINUTE else subject.attributions[0]
    attribution: Attribution = _one_of(query, "attribution", ATTRIBUTIONS, usual)
    group_by: GroupBy | None = _one_of(query, "group_by", tuple(GROUPED), None)
    _one_of(query, "compare", (COMPARED,), None)
    zone = zone_asked(single(query, "timezone"))
    _told(interval, attribution, group_by, subject)
    counters = counters_asked(
        query.get("counter", ()), subject.possible(attribution), f"attribution={attribution}"
    )
    span = _span(single(query, "from"), single(query, "to"), now_s, interval, zone)
    if interval == MINUTE:
        _kept(span.from_s, now_s)
    shown = _buckets(span, interval, zone)
    previous: list[Bucket] = []
    if single(query, "compare") is not None:
        previous = _buckets(before(span, interval, zone, len(shown)), interval, zone)
        if interval == MINUTE:
            _kept(previous[0].from_s, now_s)
    return SeriesQuery(interval, attribution, zone, span, tuple(shown), counters, group_by, tuple(previous))


def _one_of(query: Mapping[str, Sequence[str]], name: str, values: Sequence[str], default: str | None) -> Any:
    value = single(query, name)
    if value is None:
        return default
    if value not in values:
        raise BadParameter(f"{name} must be one of {', '.join(values)}")
    return value


def zone_asked(name: str | None) -> ZoneInfo:
    """Return the zone of a parameter `timezone`; UTC if not given. Raises BadParameter."""
    try:
        return zone_of("UTC" if name is None else name)
    except KeyError:
        raise BadParameter("timezone must be an IANA name, such as Europe/Amsterdam or UTC") from None


def _told(interval: Interval, attribution: Attribution, group_by: GroupBy | None, subject: Subject) -> None:
    if interval == MINUTE and "event" not in subject.attributions:
        raise NotTold(f"interval={MINUTE} is not told here: {', '.join(LONG_INTERVALS)} are")
    if interval == MINUTE and attribution == "send":
        raise NotTold(
            f"interval={MINUTE} is told with attribution=event; with send {', '.join(LONG_INTERVALS)} are"
        )
    if attribution not in subject.attributions:
        told_ = " and ".join(subject.attributions)
        raise NotTold(f"attribution={attribution} is not told here: attribution={told_} is")
    if group_by is not None and group_by not in subject.groups:
        groups = " and ".join(f"group_by={group}" for group in subject.groups)
        raise NotTold(f"group_by={group_by} is not told here: {groups or 'only a series without groups'} is")
    if attribution == "event" and group_by in ("template", "market"):
        raise NotTold(f"group_by={group_by} is told with attribution=send; with event group_by=number is")


def counters_asked(values: Sequence[str], possible_: Sequence[str], where: str) -> tuple[str, ...]:
    """Return which of the possible numbers a parameter `counter` names; all if not given. Raises NotTold."""
    asked = [name for value in values for name in value.split(",")]
    for name in asked:
        if name not in possible_:
            raise NotTold(f"counter={name[:64]} is not told with {where}: {', '.join(possible_)} are")
    return tuple(name for name in possible_ if not asked or name in asked)


def _span(begin: str | None, end: str | None, now_s: int, interval: Interval, zone: ZoneInfo) -> Span:
    dates = [bool(_DATE.fullmatch(text)) for text in (begin, end) if text is not None]
    if len(set(dates)) > 1:
        raise BadParameter("from and to must both be dates, or both instants")
    step_s = step_seconds(interval)
    to_s = now_s - now_s % step_s + step_s if end is None else _to_s(end, zone, step_s)
    if begin is None:
        last = Span(bucket_start_s(to_s - 1, interval, zone), to_s)
        from_s = before(last, interval, zone, _BY_DEFAULT[interval] - 1).from_s
    else:
        from_s = day_start_s(_date("from", begin), zone) if dates[0] else _instant_s("from", begin, step_s)
    if from_s >= to_s:
        raise BadParameter("from must be before to")
    return Span(from_s, to_s)


def step_seconds(interval: Interval) -> int:
    """Return what the numbers of an interval are kept by."""
    return MINUTE_SECONDS if interval == MINUTE else QUARTER_SECONDS


def _kept(from_s: int, now_s: int) -> None:
    """Refuse minutes that are kept no longer. Raises NotTold."""
    oldest_s = now_s - now_s % MINUTE_SECONDS - KEPT_HOURS * 3_600
    if from_s < oldest_s:
        since = told(oldest_s, zone_of("UTC"))
        raise NotTold(
            f"interval={MINUTE} is told of the last {KEPT_HOURS} hours, from {since} on;"
            f" {', '.join(LONG_INTERVALS)} of all time"
        )


def _to_s(text: str, zone: ZoneInfo, step_s: int) -> int:
    """Return the end of a span: that of its last day, or an instant that is not part of it."""
    if _DATE.fullmatch(text):
        return day_start_s(_date("to", text) + timedelta(days=1), zone)
    return _instant_s("to", text, step_s)


def _date(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not FIRST <= found <= LAST:
        raise BadParameter(f"{name} must be a date from 2009 on, such as 2026-11-30")
    return found


def _instant_s(name: str, text: str, step_s: int) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    try:
        at_ms = unix_ms(int(text) if is_number else text, name)
    except BadEvent:
        raise BadParameter(
            f"{name} must be a date (2026-11-30), unix milliseconds, or RFC 3339 with a zone"
            " (in an address + is written %2B)"
        ) from None
    if at_ms > LAST_S * 1000:
        raise BadParameter(f"{name} must be before {LAST}")
    if at_ms % (step_s * 1000):
        step = "a minute" if step_s == MINUTE_SECONDS else "a quarter hour"
        raise BadParameter(f"{name} must be at {step}: that is what numbers are kept by")
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
