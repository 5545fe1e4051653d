"""A steady load from a separate process: neither the reader nor a worker pays for publishing."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.sharedctypes import Synchronized
from types import TracebackType

from aiokafka import AIOKafkaProducer

from bench.raw_topics import send_together
from tally.simulator.records import RawRecord
from tally.streams.settings import load

TICK_SECONDS = 0.01
"""Pause between two batches: events arrive evenly, in few requests."""
STARTED_SECONDS = 300.0
"""Making millions of records takes minutes."""
POLL_SECONDS = 0.05
STOP_SECONDS = 5.0

Make = Callable[[], Sequence[RawRecord]]
"""Makes the records in the publishing process: they are many times as large as their source."""


class SteadyLoad:
    """Publishes records at a steady rate while it is entered, with the same priority as all processes."""

    def __init__(self, environment: Mapping[str, str], make: Make, events_per_second: float) -> None:
        # Spawned, not forked: the child must not inherit the parent's event loop and sockets.
        context = multiprocessing.get_context("spawn")
        self._published: Synchronized[int] = context.Value("q", 0)
        self._process = context.Process(
            target=_run, args=(dict(environment), make, events_per_second, self._published), daemon=True
        )

    async def __aenter__(self) -> "SteadyLoad":
        await asyncio.to_thread(self._process.start)
        async with asyncio.timeout(STARTED_SECONDS):
            while not self._published.value:
                self.check()
                await asyncio.sleep(POLL_SECONDS)
        self._began_s, self._first = time.monotonic(), self._published.value
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.join, STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()

    def check(self) -> None:
        """Raise AssertionError if the load is over: then it was not steady."""
        assert self._process.is_alive(), f"the load ended too early, with {self._process.exitcode}"

    def events_per_second(self) -> float:
        """Return the rate since it was entered. Raises AssertionError if the load is over."""
        self.check()
        return (self._published.value - self._first) / (time.monotonic() - self._began_s)

    async def ended(self, deadline_seconds: float) -> None:
        """Wait until all records are published. Raises AssertionError if they are not by the deadline."""
        await asyncio.to_thread(self._process.join, deadline_seconds)
        assert self._process.exitcode == 0, f"the load failed: {self._process.exitcode}"


def _run(
    environment: Mapping[str, str], make: Make, events_per_second: float, published: "Synchronized[int]"
) -> None:
    asyncio.run(_publish(environment, make(), events_per_second, published))


async def _publish(
    environment: Mapping[str, str],
    records: Sequence[RawRecord],
    events_per_second: float,
    published: "Synchronized[int]",
) -> None:
    settings = load(environment)
    producer = AIOKafkaProducer(**settings.kafka.client(), acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        began_s, sent = time.monotonic(), 0
        while sent < len(records):
            due = min(int((time.monotonic() - began_s) * events_per_second), len(records))
            await send_together(producer, settings, records[sent:due])
            published.value = sent = due
            await asyncio.sleep(TICK_SECONDS)
    finally:
        await producer.stop()
