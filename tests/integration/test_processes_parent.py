"""Laws of the parent of a worker's processes, over processes that count nothing."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from msgspec import json as msgspec_json

from tally.streams.dev.free_port import free_port
from tally.streams.processes.split import Plan
from tests.support.processes import children, has_ended
from tests.support.stand_in import BEHAVIOUR, ENDED
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio

ROLES = (("route",), ("fold",), ("view",))
DEADLINE_SECONDS = 20.0
TURN_SECONDS, STOP_SECONDS = 0.5, 1.5
ORPHAN_SECONDS = 5.0


class Worker:
    """A running parent with its processes."""

    def __init__(self, folder: Path, port: int, **behaviour: str) -> None:
        (folder / BEHAVIOUR).write_text(json.dumps(behaviour))
        self._folder = folder
        self.port = port
        self.metrics_port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics_url = f"http://127.0.0.1:{self.metrics_port}"
        command = (sys.executable, "-m", "tests.support.stand_in")
        addresses = ("127.0.0.1", self.port, "127.0.0.1", self.metrics_port)
        plan = Plan(ROLES, command, *addresses, "INFO", "json", TURN_SECONDS, STOP_SECONDS)
        self.log = folder / f"log-{uuid4().hex}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "tally.streams.processes", msgspec_json.encode(plan).decode()],
                env={**os.environ, "STAND_IN": str(folder)},
                stderr=log,
            )

    async def code(self) -> int:
        return await asyncio.to_thread(self.process.wait, DEADLINE_SECONDS)

    async def started(self) -> dict[str, int]:
        """Wait until every process answers, and return their ids."""
        await until(lambda: len(children(self.process.pid, "tests.support.stand_in")) == len(ROLES))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while "starting" in (text := await self._text("/health/ready")) or not text:
                await asyncio.sleep(0.02)
        return children(self.process.pid, "tests.support.stand_in")

    async def _text(self, path: str) -> str:
        try:
            return await self.get(path)
        except aiohttp.ClientConnectionError:
            return ""

    async def get(self, path: str) -> str:
        url = self.url if path.startswith("/v1/") else self.metrics_url
        async with aiohttp.ClientSession() as http, http.get(url + path) as response:
            return await response.text()

    @property
    def ended(self) -> list[str]:
        """The processes that have ended, in this order, but those that were killed."""
        return (self._folder / ENDED).read_text().splitlines()


Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running = []

    def started(port: int | None = None, **behaviour: str) -> Worker:
        running.append(Worker(tmp_path, port or free_port(0), **behaviour))
        return running[-1]

    yield started
    for worker in running:
        worker.process.kill()
        worker.process.wait(DEADLINE_SECONDS)


async def test_processes_stop_one_after_the_other_and_the_worker_ends_with_zero(start: Start) -> None:
    worker = start()
    await worker.started()
    worker.process.terminate()

    assert await worker.code() == 0
    assert worker.ended == ["route", "fold", "view"]


async def test_a_process_that_does_not_stop_holds_up_the_others_for_a_turn_and_is_killed(
    start: Start,
) -> None:
    worker = start(route="stubborn")
    pids = await worker.started()
    began_s = time.monotonic()
    worker.process.terminate()

    assert await worker.code() == 70
    assert time.monotonic() - began_s >= STOP_SECONDS
    assert worker.ended == ["fold", "view"]
    assert all(map(has_ended, pids.values()))


async def test_a_process_that_cannot_start_ends_the_worker_with_its_code(start: Start) -> None:
    worker = start(fold="ends with 2")

    assert await worker.code() == 2
    assert worker.ended[0] == "fold"


async def test_a_process_whose_loop_is_stuck_ends_with_its_parent(start: Start) -> None:
    worker = start(fold="stuck")
    pids = await worker.started()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while "process fold: does not answer" not in await worker.get("/health/live"):
            await asyncio.sleep(0.02)
    worker.process.kill()

    await until(lambda: all(map(has_ended, pids.values())), ORPHAN_SECONDS)


async def test_while_a_process_starts_the_worker_says_so_and_its_view_is_unavailable(start: Start) -> None:
    worker = start(view="starts for ever")
    await until(lambda: len(children(worker.process.pid, "tests.support.stand_in")) == len(ROLES))

    async with aiohttp.ClientSession() as http:
        async with http.get(worker.metrics_url + "/health/ready") as response:
            assert response.status == 503
            assert "process view: has been starting for" in await response.text()
        async with http.get(worker.url + "/v1/said") as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "unavailable"
        async with http.get(worker.metrics_url + "/metrics") as response:
            assert response.status == 503
        async with http.get(worker.metrics_url + "/health/live") as response:
            assert response.status == 200


async def test_a_connection_is_the_views_before_anything_comes_over_it(
    start: Start,
) -> None:
    worker = start()
    await worker.started()
    _, silent = await asyncio.open_connection("127.0.0.1", worker.port)
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
    for byte in b"GET /v1/said HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.002)

    async with asyncio.timeout(DEADLINE_SECONDS):
        assert (await reader.read()).endswith(b"the view")
    assert await worker.get("/v1/said") == "the view"
    assert 'tally_web_connections{process="parent"} 1.0' in await worker.get("/metrics")
    silent.close()
    writer.close()


async def test_what_is_near_metrics_and_health_is_not_found_and_no_sign_of_a_view_that_is_gone(
    start: Start,
) -> None:
    worker = start()
    await worker.started()
    async with aiohttp.ClientSession() as http:
        for method, path, status in [
            ("GET", "/metricsfoo", 404),
            ("GET", "/metrics/", 404),
            ("GET", "/health/", 404),
            ("GET", "/health/live/x", 404),
            ("POST", "/metrics", 405),
            ("DELETE", "/health/live", 405),
            ("HEAD", "/health/live", 200),
        ]:
            async with http.request(method, worker.metrics_url + path) as response:
                assert response.status == status, (method, path)


async def test_an_address_that_cannot_be_served_on_is_one_line_and_no_reason_to_start_again(
    start: Start,
) -> None:
    first = start()
    await first.started()
    second = start(port=first.port)

    assert await second.code() == 2
    (line,) = second.log.read_text().splitlines()
    assert line == f"port {first.port} of 127.0.0.1 cannot be served on: Address already in use"


async def test_a_view_that_hangs_is_named_and_answers_again_once_it_runs(start: Start) -> None:
    worker = start()
    pids = await worker.started()
    os.kill(pids["view"], signal.SIGSTOP)
    try:
        before_s = time.monotonic()
        assert 'seen_total{process="route"} 5.0' in await worker.get("/metrics")
        assert time.monotonic() - before_s < DEADLINE_SECONDS / 4
        assert "process view: does not answer" in await worker.get("/health/live")
    finally:
        os.kill(pids["view"], signal.SIGCONT)
    assert await worker.get("/v1/said") == "the view"
