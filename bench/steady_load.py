"""A steady load from a separate process: neither the reader nor a worker pays for publishing."""

import asyncio
import multiprocessing
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaProducer
from msgspec import Struct

from bench.load import Size, load
from bench.oracle import PeerRows
from bench.plain_count import plain_count
from bench.raw_topics import send_together
from tally.simulator.records import RawRecord
from tally.streams import settings as settings_module
from tally.streams.settings import Settings

TICK_SECONDS = 0.01
"""Pause between two batches: events arrive evenly, in few requests."""
MADE_SECONDS = 300.0
"""Making millions of records takes minutes."""
POLL_SECONDS = 0.05
STOP_SECONDS = 20.0
COUNTED_SECONDS = 300.0
PAUSED, ENDED = 0.0, -1.0
PUBLISHED = "published"
CARRIED = 0.95
"""The share of a load that has to be carried for a figure to be one of that load."""


class WarmUp(Struct, frozen=True):
    """The load before a measurement: it makes a new broker as fast as one that has run for days.

    Until then a broker compiles itself: its second compiler took 0.4 of a core in the first 15 s at 3,300
    events/s, 0.14 in the next and 0.03 after a minute, and the broker's own threads half as much as before.
    """

    events_per_second: float = 6_000.0
    seconds: float = 45.0

    @property
    def events(self) -> float:
        """The number of events that it takes."""
        return self.events_per_second * self.seconds

    async def run(self, flow: "SteadyLoad") -> None:
        """Publish for as long."""
        flow.at(self.events_per_second)
        await asyncio.sleep(self.seconds)


class Mark(Struct, frozen=True):
    """How much was published at a moment."""

    published: int
    at_s: float


class SteadyLoad:
    """Publishes records at the rates that it is told, one after another, with everyone's priority."""

    def __init__(self, environment: Mapping[str, str], size: Size, seed: int) -> None:
        # Spawned, not forked: the child must not inherit the parent's event loop and sockets.
        context = multiprocessing.get_context("spawn")
        self._made: Synchronized[int] = context.Value("q", 0)
        self._rate: Synchronized[float] = context.Value("d", PAUSED)
        self._published: Synchronized[int] = context.Value("q", 0)
        self._ours, self._theirs = context.Pipe()
        self._process = context.Process(
            target=_run,
            args=(dict(environment), size, seed, self._made, self._rate, self._published, self._theirs),
            daemon=True,
        )

    async def __aenter__(self) -> "SteadyLoad":
        await asyncio.to_thread(self._process.start)
        self._theirs.close()
        async with asyncio.timeout(MADE_SECONDS):
            while not self._made.value:
                assert self._process.is_alive(), f"the load failed: {self._process.exitcode}"
                await asyncio.sleep(POLL_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rate.value = ENDED
        self._ours.close()
        await asyncio.to_thread(self._process.join, STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()

    def at(self, events_per_second: float) -> None:
        """Publish at this rate from now on."""
        self._rate.value = events_per_second

    def mark(self) -> Mark:
        """Return how much is published now."""
        return Mark(self._published.value, time.monotonic())

    def per_second_since(self, mark: Mark) -> float:
        """Return the rate since a mark. Raises AssertionError if the load is over: then it was not steady."""
        now = self.mark()
        assert self._process.is_alive(), f"the load ended too early, with {self._process.exitcode}"
        assert now.published < self._made.value, "the load was used up: too few records were made"
        return (now.published - mark.published) / (now.at_s - mark.at_s)

    async def ended(self) -> None:
        """Publish no more. Raises AssertionError if that takes too long, EOFError if the load has failed."""
        self._rate.value = ENDED
        assert await self._said(STOP_SECONDS) == PUBLISHED

    async def right(self) -> PeerRows:
        """Return the plain count of what was published, once it has ended. Raises as `ended`.

        The publishing process makes it, since it has the records.
        """
        self._ours.send(PUBLISHED)
        return dict(await self._said(COUNTED_SECONDS))

    async def _said(self, deadline_seconds: float) -> Any:
        assert await asyncio.to_thread(self._ours.poll, deadline_seconds), "the load does not answer"
        return self._ours.recv()


def _run(
    environment: Mapping[str, str],
    size: Size,
    seed: int,
    made: "Synchronized[int]",
    rate: "Synchronized[float]",
    published: "Synchronized[int]",
    parent: "Connection[Any, Any]",
) -> None:
    records = load(size, seed)
    made.value = len(records)
    asyncio.run(_publish(settings_module.load(environment), records, rate, published))
    # The parent goes away where it need not know the right numbers.
    with suppress(EOFError, OSError):
        parent.send(PUBLISHED)
        parent.recv()
        parent.send(list(plain_count(records[: published.value]).items()))


async def _publish(
    settings: Settings,
    records: list[RawRecord],
    rate: "Synchronized[float]",
    published: "Synchronized[int]",
) -> None:
    producer = AIOKafkaProducer(**settings.kafka.client(), acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        sent, due, at_s = 0, 0.0, time.monotonic()
        while (per_second := rate.value) != ENDED and sent < len(records):
            now_s = time.monotonic()
            due, at_s = min(due + (now_s - at_s) * per_second, len(records)), now_s
            await send_together(producer, settings, records[sent : int(due)])
            published.value = sent = int(due)
            await asyncio.sleep(TICK_SECONDS)
    finally:
        await producer.stop()
