"""C10: two sinks share partitions, while one is stopped for long and replies to COMMIT are lost."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.faults.flow import enough
from tests.faults.groups.sessions import session, until_written
from tests.faults.groups.striking import LOST_SECONDS, loaded
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import read
from tests.faults.stack import SESSION_SECONDS, Stack, stack, until

PAUSED_SECONDS = float(os.environ.get("FAULTS_PAUSED_SECONDS", str(2.0 * SESSION_SECONDS)))
"""How long a worker is stopped each time; with 300 it is the long form."""
PAUSES = 3
PER_SECOND = 100
CUT_SECONDS = 2.5
"""About each third COMMIT of two workers of four partitions; its transaction happened."""

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300 + PAUSES * PAUSED_SECONDS * 2)]

NOT_CUT = "SELECT count(*) FROM tally.cuts WHERE catching_up"


async def test_two_sinks_of_which_one_is_stopped_again_and_again_lose_and_repeat_nothing(
    tmp_path: Path,
) -> None:
    seconds = 60 + PAUSES * PAUSED_SECONDS * 2
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        await whole.start()
        for worker in whole.workers:
            await whole.ready(worker)
        async with (
            loaded(sender, enough(313, seconds, PER_SECOND), PER_SECOND),
            session(whole.dsn) as observer,
        ):
            await until_written(observer)
            losing = asyncio.create_task(_lose_replies(whole))
            for number in range(PAUSES):
                await _pause(whole, number)
            losing.cancel()
            whole.postgres_wire.mend()
        failed = [(await read(worker)).failed("connection", "moved") for worker in whole.workers]
        await assert_exact(whole, whole.workers[0], sender.sent)
        async with session(whole.dsn) as observer:
            assert await observer.fetchval(NOT_CUT) == 0

    assert sum(failed) > 0
    assert all(code in (0, 70) for _, code in whole.exits), whole.exits


async def _pause(whole: Stack, number: int) -> None:
    """Stop a worker for longer than its group waits for it, and let it go on as a zombie until it notices."""
    worker = whole.workers[number % 2]
    exits = len(whole.exits)
    worker.signal(signal.SIGSTOP)
    await asyncio.sleep(PAUSED_SECONDS)
    worker.signal(signal.SIGCONT)
    await until(lambda: len(whole.exits) > exits, LOST_SECONDS, "the zombie did not notice")
    await whole.ready(worker)


async def _lose_replies(whole: Stack) -> None:
    while True:
        await asyncio.sleep(CUT_SECONDS)
        whole.postgres_wire.cut_before_reply_to(b"COMMIT")
