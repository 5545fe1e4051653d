"""A2, A3, A8: workers that are told to stop, that sleep, and that are stuck, under load."""

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.flow import enough
from tests.faults.groups.striking import LOST_SECONDS, loaded, measured, strike
from tests.faults.hooked_worker import HookedWorker
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.stack import SESSION_SECONDS, Stack, stack, until
from tests.support.keys import answers_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]

WRONG = 70
PER_SECOND = 100
STOPS = 5
STOPPED_SECONDS = 20.0
PAUSED_SECONDS = 3.0 * SESSION_SECONDS
WOKEN_SECONDS = 10.0
BLOCKED_SECONDS = 15
NOTICED_SECONDS = SESSION_SECONDS + 2.0


async def test_each_of_five_workers_told_to_stop_under_load_ends_within_twenty_seconds_with_zero(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        await whole.start()
        took = []
        async with loaded(sender, enough(402, 90, PER_SECOND), PER_SECOND):
            for number in range(STOPS):
                worker = whole.workers[number % 2]
                await whole.ready(worker)
                worker.signal(signal.SIGTERM)
                took.append(await _exits(whole, number + 1))
        await assert_exact(whole, whole.workers[0], sender.sent)
    measured("A2 stopped", took)

    assert [code for _, code in whole.exits] == [0] * STOPS
    assert max(took) <= STOPPED_SECONDS, took


async def test_a_worker_that_sleeps_for_three_sessions_changes_nothing_when_it_wakes_and_exits(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        await whole.start()
        zombie, successor = whole.workers
        async with loaded(sender, enough(403, 60, PER_SECOND), PER_SECOND):
            await whole.ready(successor)
            slept_at_s = time.time()
            zombie.signal(signal.SIGSTOP)
            # Its partitions have new owners before it wakes: else it would be no zombie.
            async with answers_of(successor) as answers:
                await answers.wait_until_counted(slept_at_s * 1000, PAUSED_SECONDS)
            await asyncio.sleep(max(0.0, slept_at_s + PAUSED_SECONDS - time.time()))
            assert whole.exits == []
            zombie.signal(signal.SIGCONT)
            woken_s = await _exits(whole, 1)
        await assert_exact(whole, successor, sender.sent)
    measured("A3 exit after waking", woken_s)

    assert whole.exits == [(zombie.name, WRONG)]
    assert woken_s <= WOKEN_SECONDS


async def test_a_worker_whose_loop_is_stuck_says_where_and_ends_within_a_session_and_two_seconds(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        await whole.start()
        stuck, other = whole.workers
        async with loaded(sender, enough(404, 60, PER_SECOND), PER_SECOND):
            await whole.ready(other)
            blow = await strike(whole, stuck, "fold.batch", f"block {BLOCKED_SECONDS}", WRONG)
        await assert_exact(whole, other, sender.sent)
    measured("A8 exit of a stuck loop", blow.exit_seconds)

    assert blow.exit_seconds <= NOTICED_SECONDS
    assert whole.exits == [(stuck.name, WRONG)]
    (said,) = (line for line in _logged(stuck) if "stood still" in line.get("reason", ""))
    assert said["level"] == "critical"
    assert any("Armed.pass_by" in place for stack_ in said["stacks"].values() for place in stack_)


async def test_a_loop_that_is_stuck_for_a_second_now_and_then_goes_on_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    points = ("route.read", "fold.batch", "sink.write", "view.apply")
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        await whole.start()
        worker, other = whole.workers
        async with loaded(sender, enough(405, 60, PER_SECOND), PER_SECOND):
            for point in points:
                await whole.ready(worker)
                worker.arm(point, "block 1")
                await until(lambda at=point: worker.has_fired(at), LOST_SECONDS, point)  # type: ignore[misc]
        await assert_exact(whole, other, sender.sent)

    assert whole.exits == []


async def _exits(whole: Stack, count: int) -> float:
    return await until(lambda: len(whole.exits) >= count, LOST_SECONDS, f"{count} exits: {whole.exits}")


def _logged(worker: HookedWorker) -> list[dict[str, Any]]:
    """Return what a worker has logged; what is no JSON comes from libraries that print."""
    lines = worker.log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
