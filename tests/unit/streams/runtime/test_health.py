"""Alive means that waiting work is done; ready means recovered and caught up."""

import pytest

from tally.streams.runtime.health import Pulse, Readiness, live, ready

STUCK_SECONDS = 60.0


@pytest.mark.parametrize(
    ("waiting_since_s", "progress_at_s", "is_live"),
    [
        (None, 0.0, True),
        (1000.0, 0.0, True),
        (940.0, 0.0, True),
        (939.0, 0.0, False),
        (100.0, 939.0, False),
        (100.0, 940.0, True),
    ],
)
def test_a_role_is_stuck_once_work_waits_too_long_without_any_progress(
    waiting_since_s: float | None, progress_at_s: float, is_live: bool
) -> None:
    verdict = live({"fold": Pulse(waiting_since_s, progress_at_s)}, 1000.0, STUCK_SECONDS)
    assert verdict.is_ok is is_live


def test_the_verdict_names_each_role_that_is_stuck() -> None:
    pulses = {"route": Pulse(1.0, 2.0), "fold": Pulse(None, 0.0), "sink": Pulse(5.0, 0.0)}
    verdict = live(pulses, 1000.0, STUCK_SECONDS)
    assert [reason.partition(":")[0] for reason in verdict.reasons] == ["route", "sink"]


def test_a_process_without_work_is_alive() -> None:
    assert live({}, 1000.0, STUCK_SECONDS).is_ok


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (Readiness(8, 8, 0, 0.5), None),
        (Readiness(8, 8, 0, 10.0), None),
        (Readiness(7, 8, 0, 0.5), "view"),
        (Readiness(8, 8, 2, 0.5), "fold"),
        (Readiness(8, 8, 0, None), "lag"),
        (Readiness(8, 8, 0, 10.1), "lag"),
        (Readiness(8, 8, 0, 0.5, ("fold",)), "fold"),
    ],
)
def test_ready_is_recovered_and_caught_up(state: Readiness, word: str | None) -> None:
    reasons = ready(state, lag_limit_seconds=10.0).reasons
    assert [reason.partition(":")[0] for reason in reasons] == ([word] if word else [])


def test_all_reasons_are_told_at_once() -> None:
    assert len(ready(Readiness(0, 8, 1, None, ("route",)), 10.0).reasons) == 4
