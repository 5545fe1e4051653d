"""Single fields: times that an event may name."""

from typing import Any

import pytest

from tally.schemas.errors import BadEvent
from tally.schemas.fields import (
    AHEAD_MS,
    EARLIEST_MS,
    MAX_SECONDS,
    event_ms,
    event_seconds,
    is_plausible,
    latest_ms,
)

MS_WANTED = "unix ms or RFC 3339 with a zone, from 2009 to a day after the record"
PUBLISHED_MS = 1_795_350_873_904


@pytest.mark.parametrize(
    ("at_ms", "published_ms", "may_be"),
    [
        (EARLIEST_MS - 1, None, False),
        (EARLIEST_MS, None, True),
        (EARLIEST_MS - 1, PUBLISHED_MS, False),
        (PUBLISHED_MS + AHEAD_MS - 1, PUBLISHED_MS, True),
        (PUBLISHED_MS + AHEAD_MS, PUBLISHED_MS, True),
        (PUBLISHED_MS + AHEAD_MS + 1, PUBLISHED_MS, False),
        (MAX_SECONDS * 1000 + 999, None, True),
        (MAX_SECONDS * 1000 + 1000, None, False),
        (MAX_SECONDS * 1000 + 1000, MAX_SECONDS * 1000, False),
    ],
)
def test_an_event_happened_from_2009_on_and_not_a_day_after_it_was_published(
    at_ms: int, published_ms: int | None, may_be: bool
) -> None:
    assert is_plausible(at_ms, published_ms) is may_be


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PUBLISHED_MS // 1000, "unix ms or RFC 3339 with a zone, not seconds"),
        (EARLIEST_MS // 1000, "unix ms or RFC 3339 with a zone, not seconds"),
        (
            EARLIEST_MS // 1000 - 1,
            MS_WANTED,
        ),
        (
            "1970-01-21T18:42:30Z",
            MS_WANTED,
        ),
        (
            PUBLISHED_MS * 1000,
            MS_WANTED,
        ),
    ],
)
def test_a_bad_time_of_a_send_result_says_what_is_wanted(value: Any, expected: str) -> None:
    with pytest.raises(BadEvent) as caught:
        event_ms(value, "$.time", latest_ms(PUBLISHED_MS))

    assert (caught.value.bad.reason, caught.value.bad.expected) == ("bad_time", expected)
    assert str(caught.value) == f"bad_time at $.time (expected: {expected})"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PUBLISHED_MS, "unix seconds, not ms"),
        (str(PUBLISHED_MS), "unix seconds, not ms"),
        ("0", "unix seconds, from 2009 to a day after the record"),
        ("soon", "unix seconds, from 2009 to a day after the record"),
    ],
)
def test_a_bad_time_of_meta_says_what_is_wanted(value: Any, expected: str) -> None:
    with pytest.raises(BadEvent) as caught:
        event_seconds(value, ".timestamp", latest_ms(PUBLISHED_MS))

    assert (caught.value.bad.reason, caught.value.bad.expected) == ("bad_time", expected)


def test_the_last_second_of_the_last_day_is_a_time_of_meta_and_the_next_is_none() -> None:
    last = (PUBLISHED_MS + AHEAD_MS) // 1000

    assert event_seconds(str(last), "", latest_ms(PUBLISHED_MS)) == last
    with pytest.raises(BadEvent):
        event_seconds(str(last + 1), "", latest_ms(PUBLISHED_MS))
