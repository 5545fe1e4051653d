"""A loop that stands still for longer than the group's session ends the process, from loop or thread."""

import threading
import time
from itertools import pairwise

import pytest

from tally.streams.runtime.watchdog import Stacks, Watchdog, stood_still

LIMIT_SECONDS = 6.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Ended:
    """Notes why the process would have ended."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.stacks: Stacks = {}

    def __call__(self, reason: str, stacks: Stacks) -> None:
        self.reasons.append(reason)
        self.stacks = stacks


@pytest.mark.parametrize(
    ("still_s", "reason"),
    [
        (0.0, None),
        (1.0, None),
        (6.0, None),
        (6.1, "stood still for 6.1 s, longer than the group's session"),
        (3600.0, "stood still for 3600.0 s, longer than the group's session"),
    ],
)
def test_a_loop_may_stand_still_for_a_session_and_no_longer(still_s: float, reason: str | None) -> None:
    assert stood_still(0.0, still_s, LIMIT_SECONDS) == reason


def test_a_loop_that_beats_is_left_alone_for_ever() -> None:
    clock, ended = Clock(), Ended()
    watchdog = Watchdog(LIMIT_SECONDS, ended, clock)
    for _ in range(100):
        clock.now_s += LIMIT_SECONDS
        watchdog.beat()
        watchdog.look()

    assert ended.reasons == []


def test_a_loop_that_turns_again_after_too_long_ends_even_if_nobody_looked_meanwhile() -> None:
    clock, ended = Clock(), Ended()
    watchdog = Watchdog(LIMIT_SECONDS, ended, clock)
    clock.now_s += LIMIT_SECONDS + 1
    watchdog.beat()

    assert len(ended.reasons) == 1


def test_a_process_that_is_asked_to_stop_may_stand_still_for_as_long_as_its_stop_may_take() -> None:
    clock, ended = Clock(), Ended()
    watchdog = Watchdog(LIMIT_SECONDS, ended, clock)
    watchdog.rest()
    clock.now_s += 3 * LIMIT_SECONDS
    watchdog.look()
    watchdog.beat()

    assert ended.reasons == []


@pytest.mark.parametrize("limit_seconds", [1.0, 4.0, 300.0])
def test_a_loop_beats_several_times_in_the_shortest_session(limit_seconds: float) -> None:
    clock, ended = Clock(), Ended()
    watchdog = Watchdog(limit_seconds, ended, clock)
    for _ in range(10):
        clock.now_s += 2 * watchdog.beat_seconds
        watchdog.beat()

    assert ended.reasons == []


def test_the_thread_sees_what_a_stuck_loop_cannot_and_says_where_everybody_was() -> None:
    happened, ended = threading.Event(), Ended()

    def end(reason: str, stacks: Stacks) -> None:
        ended(reason, stacks)
        happened.set()

    Watchdog(0.3, end, time.monotonic).start()

    assert happened.wait(5.0)
    (ours,) = (stack for name, stack in ended.stacks.items() if name.startswith("MainThread"))
    # Innermost first, and no line of source.
    inner, outer = next((a, b) for a, b in pairwise(ours) if b.startswith("test_watchdog.py"))
    assert inner.startswith("threading.py:")
    assert outer.endswith("test_the_thread_sees_what_a_stuck_loop_cannot_and_says_where_everybody_was")
