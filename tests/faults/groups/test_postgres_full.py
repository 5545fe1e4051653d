"""C6: the disk of Postgres is full."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import session, until_written
from tests.faults.groups.small_disk import fill, small_disk
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import until_read
from tests.faults.stack import Stack, stack

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

DISK_BYTES = 256 << 20
FULL_SECONDS = 5.0


async def test_rows_that_a_full_disk_did_not_take_are_exact_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        async with (
            stack(tmp_path, names=("a",), postgres_folder=disk) as deployment,
            Sender(deployment.settings) as sender,
        ):
            await deployment.start()
            async with flowing(sender, enough(306, 40, 200), 200) as flow:
                await _full_for_some_time(deployment, disk / "ballast")
                assert not flow.done()
            await assert_exact(deployment, deployment.workers[0], sender.sent)

        assert deployment.exits == []


async def _full_for_some_time(deployment: Stack, ballast: Path) -> None:
    worker = deployment.workers[0]
    async with session(deployment.dsn) as reader:
        await until_written(reader)
        # A report that runs for long: no page that it may still read is used again, so tables have to grow.
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.fetchval("SELECT count(*) FROM tally.counters")
        await asyncio.to_thread(fill, ballast)
        await until_read(worker, lambda now: now.failed("53") > 0, 60, "Postgres still finds room")
        await asyncio.sleep(FULL_SECONDS)
    await asyncio.to_thread(ballast.unlink)
    if not deployment.postgres.is_ready():
        # Without room for its log it ends; then its supervisor starts it.
        await asyncio.to_thread(deployment.postgres.restart)
