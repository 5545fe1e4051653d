"""Reads workers' metrics and health, at one moment or as the worst of a period."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from tests.support.workers import WorkerProcess

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.1
SAMPLE_SECONDS = 0.5


class Scrape:
    """The metrics of one worker at one moment."""

    def __init__(self, exposition: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(exposition) for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series with these labels. Raises AssertionError if there is none."""
        found = [
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert found, f"there is no metric {name} {labels}"
        return math.fsum(found)

    def has(self, name: str, **labels: str) -> bool:
        """Return whether a metric has series with these labels."""
        return any(one.name == name and labels.items() <= one.labels.items() for one in self._samples)

    def failed(self, *sqlstate_classes: str) -> float:
        """Return how often the sink has failed, of the named kinds or of all."""
        name = "tally_sink_failures_total"
        if not sqlstate_classes:
            return self.value(name)
        return math.fsum(self.value(name, sqlstate_class=one) for one in sqlstate_classes)


class Worst(Struct):
    """The worst values that workers reported during a period."""

    rss_growth_bytes: int = 0
    lag_seconds: float = 0.0
    unready: int = 0
    """Number of checks at which a worker was not ready."""
    dead: int = 0
    """Number of checks at which a worker was not alive."""
    readings: int = 0

    async def note(self, worker: WorkerProcess, before: Scrape) -> None:
        """Read a worker's metrics and health, and keep the worst values."""
        scrape = await read(worker)
        rss = "process_resident_memory_bytes"
        lag_s = scrape.value("tally_lag_seconds")
        self.rss_growth_bytes = max(self.rss_growth_bytes, round(scrape.value(rss) - before.value(rss)))
        self.lag_seconds = max(self.lag_seconds, math.inf if math.isnan(lag_s) else lag_s)
        self.unready += await health(worker, "ready") != 200
        self.dead += await health(worker, "live") != 200
        self.readings += 1


@asynccontextmanager
async def watching(workers: Sequence[WorkerProcess]) -> AsyncIterator[Worst]:
    """Poll workers while the block lasts; a worker that does not answer within the deadline is an error."""
    worst, ending = Worst(), asyncio.Event()
    before = [await read(worker) for worker in workers]

    async def watch() -> None:
        while not ending.is_set():
            for worker, first in zip(workers, before, strict=True):
                await worst.note(worker, first)
            await asyncio.sleep(SAMPLE_SECONDS)

    asking = asyncio.ensure_future(watch())
    try:
        yield worst
    finally:
        ending.set()
        await asking


async def read(worker: WorkerProcess) -> Scrape:
    """Read a worker's metrics. Raises aiohttp.ClientError and TimeoutError if it does not answer."""
    async with _session() as session, session.get(worker.metrics_url + "/metrics") as response:
        response.raise_for_status()
        return Scrape(await response.text())


async def health(worker: WorkerProcess, of: str) -> int:
    """Return the HTTP status of `live` or `ready`."""
    async with _session() as session, session.get(f"{worker.metrics_url}/health/{of}") as response:
        return response.status


async def until_read(
    worker: WorkerProcess, what: Callable[[Scrape], bool], timeout_seconds: float, why: str
) -> float:
    """Wait until a worker's metrics meet a condition; return the seconds that took. Raises AssertionError.

    A worker that does not answer is polled again: the supervisor restarts it.
    """
    began = time.monotonic()
    while True:
        try:
            if what(await read(worker)):
                return time.monotonic() - began
            last = "the worker answered otherwise"
        except (aiohttp.ClientError, TimeoutError) as error:
            last = f"the worker did not answer: {error!r}"
        assert time.monotonic() - began < timeout_seconds, f"not within {timeout_seconds:g} s: {why}; {last}"
        await asyncio.sleep(POLL_SECONDS)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS))
