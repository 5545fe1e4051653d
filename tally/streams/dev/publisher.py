"""Publishes simulated raw events as producers would."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

from tally.simulator.live import Due
from tally.simulator.records import WEBHOOK_EVENTS, RawRecord
from tally.streams.settings import Settings

CHUNK = 100
DEADLINE_SECONDS = 60.0
TICK_SECONDS = 0.05


class Publisher:
    """Publishes to the raw topics and waits for the brokers' acknowledgements."""

    def __init__(self, settings: Settings, post: Callable[[bytes], Awaitable[None]] | None = None) -> None:
        self._names = settings.names
        self._post = post
        """Takes webhooks; without, they go to Kafka directly too."""
        self._producer = settings.kafka.producer(linger_ms=5, max_request_size=4 << 20)

    async def __aenter__(self) -> "Publisher":
        try:
            await asyncio.wait_for(self._producer.start(), DEADLINE_SECONDS)
        except BaseException:
            # Otherwise the client logs that it was not closed, beside the actual error.
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def publish(
        self,
        records: Sequence[RawRecord],
        published: Callable[[int], None],
        records_per_second: float = float("inf"),
    ) -> None:
        """Publish records in order, at most at a steady rate; report each number newly acknowledged."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for first in range(0, len(records), CHUNK):
            chunk = records[first : first + CHUNK]
            async with asyncio.timeout(DEADLINE_SECONDS):
                await asyncio.gather(*[await self._send(record) for record in chunk])
            published(len(chunk))
            await asyncio.sleep(max(0.0, began + (first + len(chunk)) / records_per_second - loop.time()))

    async def publish_when_due(self, due: Sequence[Due], published: Callable[[Sequence[Due]], None]) -> None:
        """Publish each record when it is due, those of one tick together; report the acknowledged ones."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _, tick in groupby(due, key=lambda one: int(one.at_s / TICK_SECONDS)):
            now = list(tick)
            await asyncio.sleep(max(0.0, began + now[0].at_s - loop.time()))
            async with asyncio.timeout(DEADLINE_SECONDS):
                await asyncio.gather(*[await self._send(one.record) for one in now])
            published(now)

    async def _send(self, record: RawRecord) -> "asyncio.Future[object]":
        if self._post is not None and record.topic == WEBHOOK_EVENTS and record.value is not None:
            return asyncio.ensure_future(self._post(record.value))
        # A tombstone needs a key, or the client refuses it.
        key = b"" if record.key is None and record.value is None else record.key
        sent: asyncio.Future[object] = await self._producer.send(
            self._names.raw(record.topic), value=record.value, key=key, headers=list(record.headers)
        )
        return sent
