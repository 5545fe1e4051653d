"""Group B, the broker itself: restarted, killed, or told of another owner of our transactions."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.faults.actions import Action
from tests.faults.flow import enough, flowing
from tests.faults.judging import assert_exact
from tests.faults.nemesis_servers import ServerNemesis
from tests.faults.nemesis_workers import WorkerNemesis
from tests.faults.oracle import Sender
from tests.faults.plan import Strike
from tests.faults.stack import Stack, stack
from tests.support.keys import answers_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]

TIMES = 5
PER_SECOND = 300
PROGRESS_SECONDS = 30.0
BETWEEN_SECONDS = 2.0


def strike(kind: str) -> Strike:
    return Strike(Action(kind), "", is_measured=False, after_seconds=0.0)


async def repeated(folder: Path, seed: int, kind: str) -> list[float]:
    """Do something to the broker again and again while events flow; return the seconds to live numbers."""
    progress_seconds = []
    async with stack(folder) as deployment:
        await deployment.start()
        doing: Callable[[Strike], Awaitable[None]] = getattr(ServerNemesis(deployment), kind)
        async with Sender(deployment.settings) as sender:
            records = enough(seed, TIMES * PROGRESS_SECONDS, PER_SECOND)
            async with flowing(sender, records, PER_SECOND):
                for _ in range(TIMES):
                    await asyncio.sleep(BETWEEN_SECONDS)
                    await doing(strike(kind))
                    progress_seconds.append(await progress(deployment))
            found = await assert_exact(deployment, deployment.workers[0], sender.sent)
    assert found.arrived.ok > 0
    return progress_seconds


async def progress(deployment: Stack) -> float:
    """Return how long it takes until a worker has live numbers of after this moment."""
    async with answers_of(deployment.workers[0]) as answers:
        return await answers.wait_until_counted(time.time() * 1000, 3 * PROGRESS_SECONDS)


async def test_a_broker_that_is_restarted_five_times_costs_no_number_and_little_time(tmp_path: Path) -> None:
    assert max(await repeated(tmp_path, 401, "restart_broker")) <= PROGRESS_SECONDS


async def test_a_broker_that_is_killed_five_times_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    assert max(await repeated(tmp_path, 402, "kill_broker")) <= PROGRESS_SECONDS


async def test_a_worker_that_is_fenced_ends_and_its_successor_goes_on_exactly(tmp_path: Path) -> None:
    async with stack(tmp_path) as deployment:
        await deployment.start()
        async with Sender(deployment.settings) as sender:
            async with flowing(sender, enough(403, 60, PER_SECOND), PER_SECOND):
                for _ in range(2):
                    await asyncio.sleep(BETWEEN_SECONDS)
                    await WorkerNemesis(deployment).fence(strike("fence"))
                    assert await progress(deployment) <= PROGRESS_SECONDS
            await assert_exact(deployment, deployment.workers[0], sender.sent)
