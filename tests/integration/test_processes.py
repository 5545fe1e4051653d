"""Laws of a worker of several processes, on real servers: it counts, answers and ends as one."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from tests.faults.scrapes import read
from tests.support.judge import counted, prepare, publish, simulated, verdict
from tests.support.processes import SCRAPE_SECONDS, Scraper, children, has_ended
from tests.support.servers import Kafka
from tests.support.waiting import until
from tests.support.workers import WorkerProcess, environment_of, until_exit

pytestmark = [pytest.mark.long, pytest.mark.asyncio]

STOP_SECONDS = 20.0
ORPHAN_SECONDS = 5.0
TWO = ["route", "fold,sink,view"]
THREE = ["route", "fold,sink", "view"]


def started(worker: WorkerProcess) -> dict[str, int]:
    assert worker.process is not None
    return children(worker.process.pid)


@pytest.fixture
def environment(kafka: Kafka, database: str) -> dict[str, str]:
    return environment_of(kafka.bootstrap, database, f"p{uuid4().hex[:8]}-")


@pytest.fixture
def worker(
    environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[WorkerProcess]:
    made = WorkerProcess(environment, tmp_path, "w", processes=str(getattr(request, "param", 3)))
    yield made
    made.kill()


async def run_campaign(worker: WorkerProcess, seed: int) -> None:
    await prepare(worker.environment)
    worker.start()
    await worker.ready()
    await publish(worker.environment, simulated(seed, contacts_per_campaign=15))
    await counted(worker)


@pytest.mark.parametrize(
    ("worker", "processes", "killed"), [(2, TWO, "route"), (3, THREE, None)], indirect=["worker"]
)
async def test_several_processes_count_as_one_answer_as_one_and_end_as_one(
    worker: WorkerProcess, processes: list[str], killed: str | None
) -> None:
    await run_campaign(worker, seed=211)
    pids = started(worker)

    assert sorted(pids) == sorted(processes)
    assert await verdict(worker) == []
    scrape = await read(worker)
    assert scrape.value("tally_process_up") == len(processes)
    assert scrape.value("tally_events_total", process="route") > 0
    assert scrape.value("tally_facts_total", process=processes[1]) > 0
    assert scrape.value("tally_event_to_view_seconds_count", process=processes[-1]) > 0
    assert not scrape.has("tally_lag_seconds", process="route")

    if killed is not None:
        await ends_with(worker, killed)
        return
    worker.signal(signal.SIGTERM)
    assert await until_exit(worker, STOP_SECONDS) == 0
    assert all(map(has_ended, pids.values()))


async def test_a_process_that_hangs_is_named_and_the_others_are_scraped_until_they_go_with_their_parent(
    worker: WorkerProcess,
) -> None:
    await prepare(worker.environment)
    worker.start()
    await worker.ready()
    pids = started(worker)
    await read(worker)
    os.kill(pids["view"], signal.SIGSTOP)
    try:
        before_s = time.monotonic()
        scrape = await read(worker)
        assert time.monotonic() - before_s < SCRAPE_SECONDS
        assert scrape.value("tally_process_up", process="view") == 0
        assert scrape.value("tally_process_up", process="route") == 1
        assert scrape.value("process_cpu_seconds_total", process="view") > 0
        assert not scrape.has("process_resident_memory_bytes", process="view")
        assert await reasons(worker, "live") == ["process view: does not answer"]
    finally:
        os.kill(pids["view"], signal.SIGCONT)
    await worker.ready()

    worker.kill()
    await until(lambda: all(map(has_ended, pids.values())), ORPHAN_SECONDS)


@pytest.mark.parametrize("killed", ["fold,sink", "view"])
async def test_a_process_that_is_killed_takes_the_worker_with_it_and_no_counter_falls(
    worker: WorkerProcess, killed: str
) -> None:
    await prepare(worker.environment)
    worker.start()
    await worker.ready()
    await ends_with(worker, killed)


async def ends_with(worker: WorkerProcess, killed: str) -> None:
    """Kill a process of a worker that counts and is scraped, and see the worker end as it should.

    Another process stands still until there are pages of the time in between.
    """
    pids = started(worker)
    other = next(pid for name, pid in pids.items() if name != killed)
    scraper = Scraper(worker.metrics_url)
    scraping = asyncio.ensure_future(scraper.run())
    await until(lambda: len(scraper.pages) > 1)

    await publish(worker.environment, simulated(seed=213, contacts_per_campaign=5))
    os.kill(other, signal.SIGSTOP)
    os.kill(pids[killed], signal.SIGKILL)
    before = len(scraper.pages)
    await until(lambda: len(scraper.pages) > before + 1)
    os.kill(other, signal.SIGCONT)
    assert await until_exit(worker, STOP_SECONDS) == 128 + signal.SIGKILL
    assert all(map(has_ended, pids.values()))
    await scraping
    assert scraper.fallen == []
    assert scraper.slowest_s < SCRAPE_SECONDS
    assert scraper.of(killed, "process_cpu_seconds_total")[-1]
    assert not scraper.of(killed, "process_resident_memory_bytes")[-1]


async def reasons(worker: WorkerProcess, of: str) -> list[str]:
    async with aiohttp.ClientSession() as http, http.get(f"{worker.metrics_url}/health/{of}") as response:
        assert response.status == 503
        found: list[str] = (await response.json())["reasons"]
        return found
