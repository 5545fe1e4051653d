"""Publishes one PBX's buffer to Kafka."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from tally.agents.clock import Backoff
from tally.streams.ami.buffer import Buffer, ReceivedPacket
from tally.streams.ami.observer import PbxObserver
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.ports import CollectorPorts
from tally.streams.operations import rights, topics
from tally.streams.settings import Settings

TOPIC = "ami-events"

BATCH_BYTES = 512 << 10
OPEN_SECONDS = 60.0
REQUEST_MS = 10_000
CLOSE_SECONDS = 3.0

Headers = list[tuple[str, bytes]]


class Sink(Protocol):
    """The destination of events; see KafkaSink."""

    async def publish(self, events: Sequence[ReceivedPacket]) -> int:
        """Publish the first of these events, in order; return how many were acknowledged."""

    async def close(self) -> None:
        """Close within a deadline and drop undelivered events."""


class KafkaSink:
    """Publishes the events of one PBX to one partition, a batch at a time."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, pbx: Pbx) -> None:
        self._producer = producer
        self._topic = topic
        self._pbx = pbx
        self._key = pbx.name.encode()

    async def publish(self, events: Sequence[ReceivedPacket]) -> int:
        """Publish as many events as one batch holds; all or none are acknowledged. Raises KafkaError.

        Only one batch is in flight, so a later one cannot overtake a retried one.
        """
        partitions = sorted(await self._producer.partitions_for(self._topic))
        partition = DefaultPartitioner()(self._key, partitions, partitions)
        batch = self._producer.create_batch()
        for packet in events:
            headers = headers_of(packet, self._pbx)
            if batch.append(timestamp=None, key=self._key, value=packet.value, headers=headers) is None:
                break
        count: int = batch.record_count()
        await (await self._producer.send_batch(batch, self._topic, partition=partition))
        return count

    async def close(self) -> None:
        """Close within a deadline and drop undelivered events."""
        await _discard(self._producer)


async def open_sink(settings: Settings, pbx: Pbx) -> KafkaSink:
    """Check rights, declare the topic if missing and connect a producer.

    Raises NoBroker, RightsMissing, KafkaError, TopicsError or TimeoutError.
    """
    try:
        return await _open(settings, pbx)
    except (KafkaError, topics.TopicsError) as error:
        raise await rights.explained(settings, "ami", error) from None


async def _open(settings: Settings, pbx: Pbx) -> KafkaSink:
    async with asyncio.timeout(OPEN_SECONDS):
        await rights.check(settings, ["ami"])
        # Otherwise the first event would let the brokers create the topic with their defaults.
        await topics.declare(settings, only={settings.names.raw(TOPIC)})
        producer = settings.kafka.producer(max_batch_size=BATCH_BYTES, request_timeout_ms=REQUEST_MS)
        try:
            await producer.start()
        except BaseException:
            await _discard(producer)
            raise
    return KafkaSink(producer, settings.names.raw(TOPIC), pbx)


def headers_of(packet: ReceivedPacket, pbx: Pbx) -> Headers:
    """Return a record's headers. Pure."""
    headers = [("pbx", pbx.name.encode()), ("received_at", str(packet.received_at_ms).encode())]
    if pbx.tenant is not None:
        headers.append(("tenant", pbx.tenant.encode()))
    if pbx.tenants == "any":
        headers.append(("tenants", b"any"))
    if packet.malformed:
        # A piece of an oversized packet may look like a valid packet.
        headers.append(("malformed", packet.malformed.encode()))
    return headers


async def _discard(producer: AIOKafkaProducer) -> None:
    # stop() waits until all records are delivered: forever while Kafka is away.
    producer._closed = True
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer._sender.close()
    await producer.client.close()


CHUNK_RECORDS = 1_000
PUBLISH_SECONDS = 20.0
"""Deadline of one publish. Then the client is replaced: it may know only brokers that are gone."""
IDLE_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""Short, so publishing resumes soon after Kafka is back."""


class Publishing:
    """Publishes from the buffer, which keeps every event until Kafka has acknowledged it."""

    def __init__(
        self,
        buffer: Buffer,
        open_sink: Callable[[], Awaitable[Sink]],
        observer: PbxObserver,
        ports: CollectorPorts,
    ) -> None:
        self._buffer = buffer
        self._open_sink = open_sink
        self._observer = observer
        self._ports = ports
        self._sink: Sink | None = None
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, spread=1.0)
        self._is_ending = False

    def end(self) -> None:
        """Let `run` return once the buffer is empty."""
        self._is_ending = True
        self._buffer.notify()

    async def run(self) -> None:
        """Publish until `end` and an empty buffer; after a failure publish unacknowledged events again."""
        try:
            while self._buffer or not self._is_ending:
                await self._try()
        finally:
            await self._close()

    async def _try(self) -> None:
        try:
            await self._publish()
        except Exception as error:
            # After any error the events are still in the buffer, and the other PBXs continue.
            self._observer.publish_failed(error)
            await self._close()
            await self._ports.pause(self._backoff.failed(self._ports.jitter()))

    async def _publish(self) -> None:
        if self._sink is None:
            self._sink = await self._open_sink()
        if not self._buffer:
            await self._buffer.wait_for_records(IDLE_SECONDS)
            return
        async with asyncio.timeout(PUBLISH_SECONDS):
            count = await self._sink.publish(self._buffer.head(CHUNK_RECORDS))
        self._buffer.drop(count)
        self._backoff.succeeded()
        self._observer.published(count)

    async def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            await sink.close()
