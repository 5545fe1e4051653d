"""A worker that ends is restarted with growing pauses until it has run for a while; a stop is final."""

import asyncio
import sys
from pathlib import Path

import pytest

from tally.streams.dev.supervisor import Supervisor, describe


@pytest.mark.parametrize(("code", "words"), [(-9, "signal SIGKILL"), (3, "exit code 3")])
def test_an_end_is_named_as_people_say_it(code: int, words: str) -> None:
    assert describe(code) == words


@pytest.mark.asyncio
async def test_a_killed_worker_comes_back_and_a_stopped_one_does_not(tmp_path: Path) -> None:
    said: list[str] = []
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    supervisor = Supervisor({}, tmp_path / "log", said.append, sleeper)
    supervising = asyncio.ensure_future(supervisor.run())
    async with asyncio.timeout(20):
        while supervisor.starts < 1:
            await asyncio.sleep(0.01)
        supervisor.kill()
        while supervisor.starts < 2:
            await asyncio.sleep(0.01)
        await supervisor.stop()
        await supervising

    assert supervisor.pid is None
    assert said == ["worker ended with signal SIGKILL; starting it again in 0.5 s"]
