"""Laws of a worker process: how it shares work, how it ends, and what state it leaves."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession

from tally.streams.dev.free_port import free_port
from tests.support.servers import Kafka
from tests.support.transport import ended, new_topic, producing, publish, terminated, worker
from tests.support.transport_process import seen
from tests.support.waiting import until

pytestmark = pytest.mark.long

PARTITIONS = 4
CATCH_UP_SECONDS = 30.0


class Load:
    """Records published all the time, a known number to each partition."""

    def __init__(self) -> None:
        self.published = 0

    @asynccontextmanager
    async def flowing(self, bootstrap: str, topic: str) -> AsyncIterator[None]:
        """Publish while the block runs."""

        async def flow() -> None:
            async with producing(bootstrap, linger_ms=5) as producer:
                while not stopping.is_set():
                    for partition in range(PARTITIONS):
                        await publish(producer, topic, partition, 25)
                    self.published += 25
                    await asyncio.sleep(0.02)

        stopping = asyncio.Event()
        flowing = asyncio.ensure_future(flow())
        try:
            yield
        finally:
            stopping.set()
            await flowing

    @property
    def records(self) -> set[tuple[int, int]]:
        """All (partition, offset) that were published."""
        return {(partition, offset) for partition in range(PARTITIONS) for offset in range(self.published)}


async def until_all_seen(load: Load, *paths: Path) -> None:
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while lost := load.records.difference(*map(seen, paths)):
        assert time.monotonic() < deadline, f"not seen: {len(lost)}"
        await asyncio.sleep(0.1)


async def until_more_seen(path: Path) -> None:
    count = len(seen(path))
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while len(seen(path)) <= count:
        assert time.monotonic() < deadline, "nothing was seen"
        await asyncio.sleep(0.05)


async def job(kafka: Kafka, tmp_path: Path, **more: Any) -> dict[str, Any]:
    topic = await new_topic(kafka.bootstrap, PARTITIONS)
    path = tmp_path / "seen"
    given = {"bootstrap": kafka.bootstrap, "group": f"group-{uuid4().hex[:8]}", "topic": topic}
    return {**given, "seen": str(path), "run_seconds": 0.02, **more}


def repeated(*paths: Path) -> int:
    return sum(count - 1 for count in Counter(chain.from_iterable(map(seen, paths))).values())


@pytest.mark.asyncio
async def test_a_worker_that_joins_and_leaves_in_order_costs_and_repeats_nothing(
    kafka: Kafka, tmp_path: Path
) -> None:
    what, path, load = await job(kafka, tmp_path), tmp_path / "seen", Load()
    joined_path = tmp_path / "joined"
    with worker(tmp_path, **what):
        async with load.flowing(kafka.bootstrap, what["topic"]):
            await until_more_seen(path)
            with worker(tmp_path, **{**what, "seen": str(joined_path)}) as joined:
                await until_more_seen(joined_path)
                await asyncio.sleep(1)
                code, seconds = await asyncio.to_thread(terminated, joined)
            await until_more_seen(path)
        await until_all_seen(load, path, joined_path)

    assert repeated(path, joined_path) == 0
    assert (code, seconds < 10) == (0, True)


@pytest.mark.asyncio
async def test_a_worker_that_is_killed_loses_nothing(kafka: Kafka, tmp_path: Path) -> None:
    what, path, load = await job(kafka, tmp_path), tmp_path / "seen", Load()
    with worker(tmp_path, **what) as killed, worker(tmp_path, **what):
        async with load.flowing(kafka.bootstrap, what["topic"]):
            await until_more_seen(path)
            await asyncio.sleep(1)
            killed.kill()
            await until_more_seen(path)
        await until_all_seen(load, path)


@pytest.mark.asyncio
async def test_sigterm_under_load_ends_with_zero_and_the_next_worker_goes_on_exactly(
    kafka: Kafka, tmp_path: Path
) -> None:
    what, path, load = await job(kafka, tmp_path), tmp_path / "seen", Load()
    with worker(tmp_path, **what) as first:
        async with load.flowing(kafka.bootstrap, what["topic"]):
            await until_more_seen(path)
            await asyncio.sleep(1)
            code, seconds = await asyncio.to_thread(terminated, first)
        with worker(tmp_path, **what):
            await until_all_seen(load, path)

    assert (code, seconds < 20) == (0, True)
    assert repeated(path) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["agent", "task", "return", "service"])
async def test_whatever_goes_wrong_ends_the_process_within_ten_seconds(
    kafka: Kafka, tmp_path: Path, fault: str
) -> None:
    what = await job(kafka, tmp_path, fault=fault)
    async with producing(kafka.bootstrap) as producer:
        await publish(producer, what["topic"], 0, 3)
    with worker(tmp_path, **what) as process:
        # It makes the file once it begins: how long Python takes to start says nothing of faults.
        await until((tmp_path / "seen").exists)
        code, seconds = await asyncio.to_thread(ended, process, 30.0)

    assert code == 70
    assert seconds < 10


@pytest.mark.asyncio
async def test_a_stop_that_hangs_ends_at_its_deadline(kafka: Kafka, tmp_path: Path) -> None:
    what, path = await job(kafka, tmp_path, fault="hang"), tmp_path / "seen"
    async with producing(kafka.bootstrap) as producer:
        await publish(producer, what["topic"], 0, 3)
    with worker(tmp_path, **what) as process:
        await until_more_seen(path)
        code, seconds = await asyncio.to_thread(terminated, process)

    assert code == 70
    assert 2.5 < seconds < 5


@pytest.mark.asyncio
async def test_two_consuming_apps_and_a_web_app_work_in_one_process(kafka: Kafka, tmp_path: Path) -> None:
    port = free_port(0)
    what, path = await job(kafka, tmp_path, web_port=port), tmp_path / "seen"
    async with producing(kafka.bootstrap) as producer:
        await publish(producer, what["topic"], 0, 200)
    with worker(tmp_path, **what) as process:
        load = Load()
        async with load.flowing(kafka.bootstrap, what["topic"]):
            await until_more_seen(path)
            # The first group rebalances; the second goes on.
            with worker(tmp_path, **{**what, "web_port": 0, "seen": str(tmp_path / "joined")}):
                await until_more_seen(tmp_path / "joined")
        published = 200 + load.published * PARTITIONS
        async with ClientSession() as http, asyncio.timeout(CATCH_UP_SECONDS):
            count = 0
            while count < published:
                async with http.get(f"http://127.0.0.1:{port}/count") as answer:
                    count = (await answer.json())["count"]
        code, _ = await asyncio.to_thread(terminated, process)

    assert (count, code) == (published, 0)
