"""What streams cost a view: the CPU and memory of a process that serves them, beside the same one without."""

import asyncio
import time
from contextlib import AsyncExitStack
from urllib.parse import quote

from msgspec import Struct

from bench.live_world import served
from bench.processes import cpu_seconds, rss_bytes
from tally.streams.runtime.descriptors import raise_descriptors
from tests.support.events import Stream, stream
from tests.support.page_worlds import TENANT, name_of

PACE_SECONDS = 0.004
"""Between two viewers that come: a view is not asked to accept a thousand at once."""


class Streams(Struct, frozen=True):
    """How many viewers watch how many campaigns, for how long, and what that may cost."""

    viewers: int = 1_000
    campaigns: int = 50
    settle_seconds: float = 5.0
    measured_seconds: float = 30.0
    most_cores: float = 0.3
    most_megabytes: float = 60.0


class Cost(Struct, frozen=True):
    """What streams cost more than none."""

    cores: float
    megabytes: float
    frames_per_second: float
    """Of each stream, on average."""
    longest_pause_s: float
    """Between two frames of any of them."""


class Reader:
    """Reads one stream, and notes when frames come."""

    def __init__(self) -> None:
        self.frames = 0
        self.longest_s = 0.0
        self._last_s: float | None = None

    async def read(self, viewer: Stream) -> None:
        """Read until cancelled."""
        while True:
            await viewer.skip()
            now_s = time.monotonic()
            if self._last_s is not None:
                self.longest_s = max(self.longest_s, now_s - self._last_s)
            self._last_s = now_s
            self.frames += 1

    def begin(self) -> None:
        """Forget what came so far."""
        self.frames, self.longest_s, self._last_s = 0, 0.0, None


async def measure_streams(asked: Streams) -> Cost:
    """Measure a process that serves a made-up world of which every campaign changes each second."""
    raise_descriptors()
    async with served(asked.campaigns) as world:
        await asyncio.sleep(asked.settle_seconds)
        alone = await _cores(world.pid, asked.measured_seconds)
        before = rss_bytes(world.pid)
        async with AsyncExitStack() as opened:
            readers = await _opened(opened, world.port, asked)
            await asyncio.sleep(asked.settle_seconds)
            for reader in readers:
                reader.begin()
            cores = await _cores(world.pid, asked.measured_seconds)
            after = rss_bytes(world.pid)
    frames = sum(reader.frames for reader in readers)
    return Cost(
        cores - alone,
        (after - before) / 1e6,
        frames / asked.measured_seconds / asked.viewers,
        max(reader.longest_s for reader in readers),
    )


async def _opened(opened: AsyncExitStack, port: int, asked: Streams) -> list[Reader]:
    """Open all streams, spread over the campaigns, and return who reads them."""
    readers = []
    tasks = await opened.enter_async_context(asyncio.TaskGroup())
    for number in range(asked.viewers):
        campaign = name_of(number % asked.campaigns, asked.campaigns)
        target = f"/v1/tenants/{quote(TENANT, safe='')}/stream?campaign={quote(campaign, safe='')}"
        viewer = await opened.enter_async_context(stream(port, target))
        reader = Reader()
        reading = tasks.create_task(reader.read(viewer))
        opened.callback(reading.cancel)
        readers.append(reader)
        await asyncio.sleep(PACE_SECONDS)
    return readers


async def _cores(pid: int, seconds: float) -> float:
    began_s, used_s = time.monotonic(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - used_s) / (time.monotonic() - began_s)
