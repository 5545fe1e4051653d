"""Laws of the log of slow answers: each has its line, until there are too many; then their sum is told."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tally.streams.web.slow_answers import MOST_A_SECOND, SECOND, Answered, SlowAnswers


def answer(number: int, status: int = 200) -> Answered:
    return Answered("POST", "/webhooks/{app}", status, number, f"{number:x}", "")


@pytest.mark.asyncio
async def test_each_has_its_line_and_what_is_beyond_the_bound_is_summed_up() -> None:
    now_s = 0.0
    with capture_logs() as lines:
        slow = SlowAnswers(lambda: now_s)
        for number in range(MOST_A_SECOND + 3):
            slow.note(answer(100 + number, 503 if number == MOST_A_SECOND else 200))
        assert [line["ms"] for line in lines] == [100 + number for number in range(MOST_A_SECOND)]
        now_s = SECOND
        slow.note(answer(100))
    assert lines[MOST_A_SECOND] == {
        "event": "answered more",
        "log_level": "info",
        "more": 3,
        "failed": 1,
        "slowest_ms": 100 + MOST_A_SECOND + 2,
    }
    assert [line["event"] for line in lines[MOST_A_SECOND + 1 :]] == ["answered"]


@pytest.mark.asyncio
async def test_the_sum_is_told_though_nothing_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally.streams.web.slow_answers.SECOND", 0.02)
    with capture_logs() as lines:
        slow = SlowAnswers(lambda: 0.0)
        for number in range(MOST_A_SECOND + 2):
            slow.note(answer(number))
        async with asyncio.timeout(5.0):
            while len(lines) == MOST_A_SECOND:
                await asyncio.sleep(0.01)
    assert [line["more"] for line in lines[MOST_A_SECOND:]] == [2]
