"""C6: the disk of Postgres is full."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import session, until_flushed
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.readings import until_read
from tests.faults.stack import Stack, stack

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

DISK_BYTES = 256 << 20
FULL_SECONDS = 5.0


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, timeout=10).returncode != 0:  # noqa: S603
        pytest.skip("only root may mount the small disk that Postgres is to fill")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=10)  # noqa: S603, S607


def _fill(ballast: Path) -> None:
    """Take all that is left of a disk."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


async def test_rows_that_a_full_disk_did_not_take_are_exact_once_there_is_room(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk") as disk:
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
        await until_flushed(reader, 60)
        # A report that runs for long: no page that it may still read is used again, so tables have to grow.
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.fetchval("SELECT count(*) FROM tally.counters")
        await asyncio.to_thread(_fill, ballast)
        await until_read(worker, lambda now: now.failed("53") > 0, 60, "Postgres still finds room")
        await asyncio.sleep(FULL_SECONDS)
    await asyncio.to_thread(ballast.unlink)
    if not deployment.postgres.is_ready():
        # Without room for its log it ends; then its supervisor starts it.
        await asyncio.to_thread(deployment.postgres.restart)
