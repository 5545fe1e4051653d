"""C5: rows that somebody else has locked, for long or in the opposite order."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import session, sink_progress, until_somebody_waits, until_written
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import read
from tests.faults.stack import Stack, stack

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

LOCKED_SECONDS = 20.0
"""Ten times as long as a sink waits for a lock: a minute would show nothing more."""
DEADLOCKS_A_MINUTE = 1
"""At most; here one is made by force."""
TRIES = 10

HOT = "SELECT partition FROM tally.counters GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
LOCK_HOT_ROW = """
SELECT 1 FROM tally.counters WHERE partition = $1 ORDER BY next_offset DESC LIMIT 1 FOR UPDATE
"""
LOCK_ALL = """
SELECT 1 FROM tally.counters WHERE partition = $1
ORDER BY tenant DESC, campaign DESC, template_name DESC, template_language DESC, grain DESC
FOR UPDATE
"""
COUNTED_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def test_a_row_that_somebody_else_locks_holds_up_its_own_partition_only(tmp_path: Path) -> None:
    async with stack(tmp_path) as deployment, Sender(deployment.settings) as sender:
        await deployment.start()
        async with (
            flowing(sender, enough(305, LOCKED_SECONDS + 15, 100), 100) as flow,
            session(deployment.dsn) as rival,
        ):
            await until_written(rival)
            await _lock_a_hot_row(deployment, rival)
            await _lock_in_the_opposite_order(rival)
            assert not flow.done()
        async with session(deployment.dsn) as observer:
            deadlocks = await observer.fetchval(COUNTED_DEADLOCKS)
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    assert deadlocks == DEADLOCKS_A_MINUTE
    assert deployment.exits == []


async def _lock_a_hot_row(deployment: Stack, rival: Any) -> None:
    failed = await _gave_up(deployment)
    hot = await rival.fetchval(HOT)
    async with rival.transaction():
        await rival.fetchval(LOCK_HOT_ROW, hot)
        await until_somebody_waits(rival)
        before = await sink_progress(rival)
        await asyncio.sleep(LOCKED_SECONDS)
        after = await sink_progress(rival)
    went_on = {partition for partition, offset in after.items() if offset > before[partition]}
    assert went_on == before.keys() - {hot}, (hot, before, after)
    assert await _gave_up(deployment) > failed


async def _gave_up(deployment: Stack) -> float:
    """Return how often a worker gave up on a lock."""
    return sum([(await read(worker)).failed("55") for worker in deployment.workers if worker.is_running])


async def _lock_in_the_opposite_order(rival: Any) -> None:
    """Hold a row that changes and ask for the others, until that was a deadlock. Raises AssertionError."""
    before = await rival.fetchval(COUNTED_DEADLOCKS)
    hot = await rival.fetchval(HOT)
    for _ in range(TRIES):
        try:
            async with rival.transaction():
                await rival.fetchval(LOCK_HOT_ROW, hot)
                await until_somebody_waits(rival)
                await rival.fetch(LOCK_ALL, hot)
        except asyncpg.DeadlockDetectedError:
            pass
        # What a backend counts shows about a second later.
        await asyncio.sleep(1.5)
        if await rival.fetchval(COUNTED_DEADLOCKS) > before:
            return
    raise AssertionError("there was no deadlock: the run is void")
