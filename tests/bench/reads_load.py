"""A steady load from a process of its own, so that neither the reader nor a worker pays for publishing."""

import asyncio
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from multiprocessing.sharedctypes import Synchronized
from types import TracebackType

from aiokafka import AIOKafkaProducer

from tally.streams.settings import load
from tally.streams.simulator.records import RawRecord
from tests.bench.raw_topics import send_together

SLICES_PER_SECOND = 50
"""Events arrive evenly, and a slice costs its publisher few requests."""
STARTED_SECONDS = 30.0
POLL_SECONDS = 0.05
STOP_SECONDS = 5.0


class Load:
    """Publishes records at a steady rate while it is entered, at the same priority as everybody else."""

    def __init__(
        self, environment: Mapping[str, str], records: Sequence[RawRecord], records_per_second: float
    ) -> None:
        # Spawned, not forked: the parent's event loop and sockets are none of the child's business.
        context = multiprocessing.get_context("spawn")
        self._published: Synchronized[int] = context.Value("q", 0)
        self._records = len(records)
        self._process = context.Process(
            target=_run, args=(dict(environment), records, records_per_second, self._published), daemon=True
        )

    async def __aenter__(self) -> "Load":
        self._process.start()
        await self._until(1, STARTED_SECONDS)
        self._began_s, self._first = time.monotonic(), self.published
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.join, STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()

    @property
    def published(self) -> int:
        """How many records are safe."""
        return self._published.value

    def records_per_second(self) -> float:
        """Return the rate since it began. Raises AssertionError: it is over, so it was no steady load."""
        assert self.published < self._records, "the load ended before the measurement"
        return (self.published - self._first) / (time.monotonic() - self._began_s)

    async def ended(self, deadline_seconds: float) -> None:
        """Wait until all records are published."""
        await self._until(self._records, deadline_seconds)

    async def _until(self, published: int, deadline_seconds: float) -> None:
        async with asyncio.timeout(deadline_seconds):
            while self.published < published:
                assert self._process.exitcode in (None, 0), f"the load failed: {self._process.exitcode}"
                await asyncio.sleep(POLL_SECONDS)


def _run(
    environment: Mapping[str, str],
    records: Sequence[RawRecord],
    records_per_second: float,
    published: "Synchronized[int]",
) -> None:
    asyncio.run(_publish(environment, records, records_per_second, published))


async def _publish(
    environment: Mapping[str, str],
    records: Sequence[RawRecord],
    records_per_second: float,
    published: "Synchronized[int]",
) -> None:
    settings, loop = load(environment), asyncio.get_running_loop()
    size = max(1, round(records_per_second / SLICES_PER_SECOND))
    producer = AIOKafkaProducer(**settings.kafka_client(), acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        began = loop.time()
        for first in range(0, len(records), size):
            chunk = records[first : first + size]
            await send_together(producer, settings, chunk)
            published.value += len(chunk)
            await asyncio.sleep(max(0.0, began + (first + size) / records_per_second - loop.time()))
    finally:
        await producer.stop()
