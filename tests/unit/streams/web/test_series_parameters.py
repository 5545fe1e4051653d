"""What a request for numbers over time asks for: what is read, what is refused, and what no cell can tell."""

from collections.abc import Mapping
from datetime import datetime

import pytest

from tally.schemas.counters import ACTIVITY, BY_QUEUE
from tally.streams.web.parameters import BadParameter, NotTold
from tally.streams.web.series_parameters import (
    A_QUEUE,
    AN_OPERATOR,
    CAMPAIGNS,
    SeriesQuery,
    Subject,
    read_series_query,
)


def _s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


NOW_S = _s("2026-06-10T12:07:30+00:00")


def read(query: Mapping[str, str], subject: Subject = CAMPAIGNS) -> SeriesQuery:
    return read_series_query({name: [value] for name, value in query.items()}, NOW_S, subject)


def test_without_parameters_it_is_the_last_thirty_days_by_send_up_to_the_present_quarter_hour() -> None:
    asked = read({})

    assert (asked.interval, asked.attribution, asked.zone.key) == ("day", "send", "UTC")
    assert asked.span == (_s("2026-05-12T00:00:00+00:00"), _s("2026-06-10T12:15:00+00:00"))
    assert len(asked.buckets) == 30
    assert asked.previous == ()


def test_the_last_date_of_a_span_is_part_of_it_and_the_last_instant_is_not() -> None:
    days = read({"from": "2026-06-01", "to": "2026-06-02", "timezone": "Europe/Amsterdam"})
    instants = read({"from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z"})

    assert days.span == (_s("2026-06-01T00:00:00+02:00"), _s("2026-06-03T00:00:00+02:00"))
    assert instants.span == (_s("2026-06-01T00:00:00+00:00"), _s("2026-06-02T00:00:00+00:00"))


@pytest.mark.parametrize(
    ("subject", "attributions", "groups"),
    [
        (CAMPAIGNS, {"send", "event"}, {"template", "number", "market"}),
        (AN_OPERATOR, {"send"}, set()),
        (A_QUEUE, {"event"}, {"number"}),
    ],
)
def test_of_each_subject_what_cells_tell_is_answered_and_all_else_refused_by_name(
    subject: Subject, attributions: set[str], groups: set[str]
) -> None:
    for attribution in ("send", "event"):
        if attribution in attributions:
            assert read({"attribution": attribution}, subject).attribution == attribution
        else:
            with pytest.raises(NotTold, match=f"attribution={' and '.join(attributions)} is"):
                read({"attribution": attribution}, subject)
    for group in ("template", "number", "market"):
        if group in groups:
            assert read({"group_by": group}, subject).group_by == group
        else:
            with pytest.raises(NotTold, match=f"group_by={group} is not told"):
                read({"group_by": group}, subject)


def test_each_subject_has_the_numbers_that_its_cells_have() -> None:
    assert read({}, A_QUEUE).counters == BY_QUEUE
    assert read({"attribution": "event"}).counters == ACTIVITY
    assert "connects" in read({}, AN_OPERATOR).counters
    assert "accepted" not in read({}, AN_OPERATOR).counters
    assert {"failed", "in_flight", "contacts_accepted"} <= set(read({}).counters)
    assert read({"counter": "read,accepted"}).counters == ("accepted", "read")
    with pytest.raises(NotTold, match="connects, queue_abandoned are"):
        read({"counter": "accepted"}, A_QUEUE)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"timezone": ""}, "IANA name"),
        ({"timezone": "localtime"}, "IANA name"),
        ({"from": "9999-12-31T23:00:00Z"}, "from must be before 9998-12-31"),
        ({"to": "253402300799000"}, "to must be before 9998-12-31"),
        ({"from": "9999-01-01"}, "from 2009 on"),
        ({"from": "2008-12-31"}, "from 2009 on"),
        ({"to": "2026-06-01T00:00:00"}, "RFC 3339 with a zone"),
        ({"from": "2026-06-11"}, "from must be before to"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_was_expected(query: dict[str, str], says: str) -> None:
    with pytest.raises(BadParameter, match=says):
        read(query)


def test_the_previous_period_is_as_many_buckets_right_before() -> None:
    asked = read({"from": "2026-06-08", "to": "2026-06-10", "compare": "previous_period"})

    assert [bucket.from_s for bucket in asked.previous] == [
        _s("2026-06-05T00:00:00+00:00"),
        _s("2026-06-06T00:00:00+00:00"),
        _s("2026-06-07T00:00:00+00:00"),
    ]
    assert asked.previous[-1].to_s == asked.buckets[0].from_s


def test_minutes_are_of_activity_alone_and_of_the_last_two_days() -> None:
    asked = read({"interval": "minute"})

    assert (asked.attribution, len(asked.buckets), asked.counters) == ("event", 60, ACTIVITY)
    assert asked.span.to_s == _s("2026-06-10T12:08:00+00:00")
    assert read({"interval": "minute"}, A_QUEUE).counters == BY_QUEUE
    oldest = {"interval": "minute", "from": "2026-06-08T12:07:00Z", "to": "2026-06-08T12:08:00Z"}
    assert len(read(oldest).buckets) == 1
    for query, says in (
        ({"attribution": "send"}, "attribution=event; with send hour, day, week, month are"),
        ({"from": "2026-06-08T12:06:00Z"}, "last 48 hours, from 2026-06-08T12:07:00[+]00:00 on; hour, day"),
        ({"from": "2026-06-09", "compare": "previous_period"}, "last 48 hours"),
        ({"group_by": "market"}, "group_by=number"),
        ({"counter": "contacts"}, "accepted, sent"),
    ):
        with pytest.raises(NotTold, match=says):
            read({"interval": "minute", **query})
    with pytest.raises(NotTold, match="interval=minute is not told here: hour, day, week, month are"):
        read({"interval": "minute"}, AN_OPERATOR)
    with pytest.raises(BadParameter, match="from must be at a minute"):
        read({"interval": "minute", "from": "2026-06-10T12:00:30Z"})


def test_minutes_are_compared_with_those_right_before() -> None:
    asked = read({"interval": "minute", "compare": "previous_period"})

    assert (len(asked.previous), asked.previous[-1].to_s) == (60, asked.buckets[0].from_s)
