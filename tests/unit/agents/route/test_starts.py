"""Route's notices in the facts log report exactly the starts and the lost ranges of raw partitions."""

import pytest

from tally.agents.route.starts import notice_of, reading_of
from tally.schemas.records import KeyedFact, Origin
from tally.schemas.starts import Start

AT_MS = 1_795_000_000_000


def said(generation: int, **start: object) -> tuple[int | None, tuple[int, int] | None] | None:
    found = reading_of("send-results", 3, Start("id", at_ms=AT_MS, **start), generation)  # type: ignore[arg-type]
    return None if found is None else (found.begun_at, found.lost)


def test_going_on_where_the_group_was_is_not_worth_a_word() -> None:
    assert said(1, at=70) is None
    assert said(2, at=0) is None


def test_a_hole_is_said_in_every_generation() -> None:
    assert said(1, at=90, lost=(70, 90)) == (None, (70, 90))
    assert said(2, at=90, lost=(70, 90)) == (None, (70, 90))


@pytest.mark.parametrize(
    ("generation", "start", "expected"),
    [
        (1, {"at": 0}, (0, None)),
        (1, {"at": 20}, (20, (0, 20))),
        (1, {"at": 25, "lost": (20, 25)}, (20, (0, 25))),
        # A count anew, of what the raw topics still hold.
        (2, {"at": 0}, (0, None)),
        (2, {"at": 20}, (20, None)),
        (2, {"at": 25, "lost": (20, 25)}, (20, (20, 25))),
    ],
)
def test_what_is_gone_before_the_first_start_is_lost_to_the_first_generation_alone(
    generation: int, start: dict[str, object], expected: object
) -> None:
    assert said(generation, is_first=True, **start) == expected


def test_notices_of_one_partition_share_a_key_and_have_the_time_of_the_start() -> None:
    reading = reading_of("send-results", 3, Start("id", 5, AT_MS, is_first=True), 1)
    assert reading is not None
    fact, origin = notice_of(reading)
    assert isinstance(fact, KeyedFact)
    assert (fact.family, fact.key, fact.fact, origin) == (b"n", b"send-results/3", reading, Origin(AT_MS))
