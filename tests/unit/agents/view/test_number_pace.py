"""A number's pace is what has come between two looks, however the window moves meanwhile."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.number_pace import MOST_GAP_SECONDS, WINDOW_SECONDS, NumberOf, NumberPaces, Window
from tally.tables.postgres.number_counts import Sent

ONE = NumberOf("t1", "n1")
START_S = 1_795_350_000 - 1_795_350_000 % 3_600


def seen(sent: Sequence[int], window: Window) -> dict[NumberOf, Sent]:
    """What Postgres would say of messages sent at these times."""
    counts = [sum(at_s >= since_s for at_s in sent) for since_s in (window.former_s, window.since_s)]
    return {ONE: Sent(*counts)} if counts[0] else {}


def look(paces: NumberPaces, at_s: float, sent: Sequence[int]) -> None:
    window = paces.window(at_s, START_S + int(at_s))
    paces.saw(at_s, window, seen(sent, window))


def pace(paces: NumberPaces, seconds: float = 10) -> float | None:
    return paces.of("t1")["n1"].per_second(seconds)


@given(st.lists(st.integers(1, 2 * WINDOW_SECONDS), min_size=1, max_size=40), st.integers(5, 9))
def test_all_that_comes_between_looks_is_in_the_pace_whenever_the_window_moves(
    times: list[int], step: int
) -> None:
    paces = NumberPaces()
    for at_s in range(0, 2 * WINDOW_SECONDS + 2 * step, step):
        look(paces, at_s, [START_S + one for one in times if one <= at_s])
        came = sum(at_s - step < one <= at_s for one in times)
        if "n1" in paces.of("t1"):
            assert pace(paces, 1) == came / step


def test_a_pace_is_of_the_last_seconds_and_of_the_last_minute() -> None:
    paces = NumberPaces()
    for at_s in range(121):
        look(paces, at_s, [START_S] * (at_s * 2 if at_s <= 100 else 200 + (at_s - 100) * 40))
    assert pace(paces, 10) == 40
    assert pace(paces, 60) == pytest.approx((40 * 2 + 20 * 40) / 60)
    assert paces.of("t2") == {}


def test_a_number_that_begins_to_send_has_a_pace_at_its_first_sight() -> None:
    paces = NumberPaces()
    look(paces, 0, [])
    look(paces, 1, [START_S] * 30)
    assert pace(paces) == 30


def test_what_was_there_before_the_first_look_is_no_pace() -> None:
    paces = NumberPaces()
    look(paces, 0, [START_S] * 500)
    assert pace(paces) is None
    look(paces, 1, [START_S] * 500)
    assert pace(paces) == 0


@pytest.mark.parametrize("gap_s", [MOST_GAP_SECONDS + 1, 2 * WINDOW_SECONDS])
def test_what_comes_while_nobody_can_look_is_no_pace(gap_s: float) -> None:
    paces = NumberPaces()
    look(paces, 0, [])
    look(paces, 1, [START_S] * 7)
    look(paces, 1 + gap_s, [START_S + int(gap_s)] * 9_000)
    assert pace(paces, 60) is None
    look(paces, 2 + gap_s, [START_S + int(gap_s)] * 9_001)
    assert pace(paces, 60) == 1


def test_a_clock_that_is_put_back_makes_nothing_come_again() -> None:
    paces = NumberPaces()
    look(paces, 0, [START_S] * 5)
    paces.saw(1.0, paces.window(1.0, START_S - 7_200), {ONE: Sent(900, 900)})
    assert pace(paces) is None


def test_messages_that_are_counted_elsewhere_later_leave_no_negative_pace() -> None:
    paces = NumberPaces()
    look(paces, 0, [START_S] * 5)
    look(paces, 1, [START_S] * 3)
    assert pace(paces) == 0
