"""Single fields: times that an event may name."""

import pytest

from tally.schemas.fields import AHEAD_MS, EARLIEST_MS, MAX_SECONDS, is_plausible

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
