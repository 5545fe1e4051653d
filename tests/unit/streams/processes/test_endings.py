"""A worker of several processes stops in order and in time, and ends with the code that says why."""

from signal import SIGKILL, SIGTERM

import pytest

from tally.streams.processes.endings import STOP_SECONDS, STUCK_CODE, TURN_SECONDS, Ended, exit_code, turn


@pytest.mark.parametrize(
    ("since_s", "running", "asked"),
    [
        (0.0, (True, True, True), 1),
        (0.0, (False, True, True), 2),
        (0.0, (True, False, True), 1),
        (0.0, (False, False, True), 3),
        (0.0, (False, False, False), 3),
        (TURN_SECONDS - 0.1, (True, True, True), 1),
        (TURN_SECONDS, (True, True, True), 2),
        (2 * TURN_SECONDS, (True, True, True), 3),
        (STOP_SECONDS, (True, True), 2),
    ],
)
def test_a_process_is_asked_to_stop_when_those_before_it_have_ended_or_have_had_their_time(
    since_s: float, running: tuple[bool, ...], asked: int
) -> None:
    assert turn(since_s, running) == asked


def test_every_process_has_time_to_stop_before_it_is_killed() -> None:
    assert turn(STOP_SECONDS - TURN_SECONDS, (True, True, True)) == 3


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([], 0),
        ([Ended("route", 0, asked=True), Ended("view", 0, asked=True)], 0),
        ([Ended("route", 70), Ended("view", 0, asked=True)], 70),
        ([Ended("view", 2), Ended("route", 70, asked=True)], 2),
        ([Ended("view", -SIGKILL), Ended("route", 0, asked=True)], 137),
        ([Ended("route", 0, asked=True), Ended("fold", 70), Ended("view", 1)], 70),
        ([Ended("route", 0), Ended("view", 70, asked=True)], 0),
        ([Ended("route", 70, asked=True), Ended("view", 0, asked=True)], 70),
        ([Ended("route", -SIGTERM, asked=True)], 0),
        ([Ended("route", 0, asked=True), Ended("view", -SIGKILL, asked=True, killed=True)], STUCK_CODE),
        ([Ended("view", -SIGKILL, asked=True)], 137),
    ],
)
def test_the_code_is_that_of_who_ended_by_itself_else_of_the_first_that_failed_at_stopping(
    ends: list[Ended], code: int
) -> None:
    assert exit_code(ends) == code
