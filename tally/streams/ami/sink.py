"""Kafka, as one PBX's events see it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from tally.streams.ami.buffer import Taken
from tally.streams.ami.pbx import Pbx
from tally.streams.operations import topics
from tally.streams.settings import Settings

TOPIC = "ami-events"

BATCH_BYTES = 512 << 10
OPEN_SECONDS = 60.0
REQUEST_MS = 10_000
CLOSE_SECONDS = 3.0

Headers = list[tuple[str, bytes]]


class Sink(Protocol):
    """Where events go; see KafkaSink."""

    async def publish(self, events: Sequence[Taken]) -> int:
        """Publish the first of these events, in order; return how many are safe."""

    async def close(self) -> None:
        """Close within a deadline, whatever has not been delivered."""


class KafkaSink:
    """Publishes the events of one PBX to one partition, a batch at a time."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, pbx: Pbx) -> None:
        self._producer = producer
        self._topic = topic
        self._pbx = pbx
        self._key = pbx.name.encode()

    async def publish(self, events: Sequence[Taken]) -> int:
        """Publish as many events as one batch holds; all or none of them are safe. Raises KafkaError.

        One batch at a time: a later one cannot overtake one that is tried again.
        """
        partitions = sorted(await self._producer.partitions_for(self._topic))
        partition = DefaultPartitioner()(self._key, partitions, partitions)
        batch = self._producer.create_batch()
        for taken in events:
            headers = headers_of(taken, self._pbx)
            if batch.append(timestamp=None, key=self._key, value=taken.value, headers=headers) is None:
                break
        count: int = batch.record_count()
        await (await self._producer.send_batch(batch, self._topic, partition=partition))
        return count

    async def close(self) -> None:
        """Close within a deadline, whatever has not been delivered."""
        await _discard(self._producer)


async def open_sink(settings: Settings, pbx: Pbx) -> KafkaSink:
    """Declare what is missing and connect a producer. Raises KafkaError, TopicsError or TimeoutError."""
    async with asyncio.timeout(OPEN_SECONDS):
        # Else the first event would let the brokers create the topic with their defaults.
        await topics.declare(settings, only={settings.names.raw(TOPIC)})
        producer = AIOKafkaProducer(
            **settings.kafka_client(),
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await _discard(producer)
            raise
    return KafkaSink(producer, settings.names.raw(TOPIC), pbx)


def headers_of(taken: Taken, pbx: Pbx) -> Headers:
    """Return a record's headers. Pure."""
    headers = [("pbx", pbx.name.encode()), ("received_at", str(taken.received_at_ms).encode())]
    if pbx.tenant is not None:
        headers.append(("tenant", pbx.tenant.encode()))
    if pbx.tenants == "any":
        headers.append(("tenants", b"any"))
    if taken.nonsense:
        # A piece of a packet that is too large may look like a packet by itself.
        headers.append(("nonsense", taken.nonsense.encode()))
    return headers


async def _discard(producer: AIOKafkaProducer) -> None:
    # Not stop(), which waits until all is delivered: for ever while Kafka is away.
    producer._closed = True
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer._sender.close()
    await producer.client.close()
