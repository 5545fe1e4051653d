"""End offsets and committed offsets from Kafka, read with few and small requests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError
from msgspec import Struct

from tally.agents.lag.tracker import RawPartition
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.layouts import Layout, present_layouts

REQUEST_TIMEOUT_MS = 5_000


class Pipeline(Struct, frozen=True):
    """The topics and the group that lag is measured on."""

    raw: Mapping[str, str]
    """Full names of the raw topics that route reads, by logical name."""
    facts: str
    facts_partitions: int
    group: str
    """Route's consumer group."""


class KafkaOffsets:
    """Reads end offsets with a consumer without a group, and committed offsets with an admin client."""

    def __init__(self, pipeline: Pipeline, consumer: Any, admin: Any) -> None:
        self._pipeline = pipeline
        self._consumer = consumer
        self._admin = admin
        self._logical = {full: logical for logical, full in pipeline.raw.items()}
        self._facts = [TopicPartition(pipeline.facts, p) for p in range(pipeline.facts_partitions)]
        self._coordinator: int | None = None

    async def raw_ends(self) -> Mapping[RawPartition, int]:
        """Return the end offset of each partition of the raw topics, open transactions included.

        Each call reads the layouts again, since partitions may be added and topics recreated. Raises
        KafkaError.
        """
        layouts = await self._look()
        tps = [
            TopicPartition(topic, partition)
            for topic, layout in layouts.items()
            for partition in range(layout.partitions)
        ]
        ends = await self._consumer.end_offsets(tps)
        if _ids(await self._look()) != (ids := _ids(layouts)):
            raise UnknownTopicOrPartitionError("a raw topic was made anew meanwhile")
        return {self._raw_partition(tp, ids[tp.topic]): end for tp, end in ends.items()}

    async def committed(self) -> Mapping[RawPartition, int]:
        """Return route's committed offsets, keyed by partition and topic id. Raises KafkaError."""
        if self._coordinator is None:
            self._coordinator = await self._admin.find_coordinator(self._pipeline.group)
        found = await self._admin.list_consumer_group_offsets(self._pipeline.group, self._coordinator)
        if not found:
            # A broker that no longer coordinates the group returns no offsets, not an error.
            self._coordinator = None
        return {
            self._raw_partition(tp, meta.metadata): meta.offset
            for tp, meta in found.items()
            if meta.offset >= 0 and tp.topic in self._logical
        }

    async def facts_ends(self) -> Mapping[int, int]:
        """Return the end offset of each partition of the facts log. Raises KafkaError."""
        ends = await self._consumer.end_offsets(self._facts)
        return {tp.partition: end for tp, end in ends.items()}

    async def _look(self) -> Mapping[str, Layout]:
        return await present_layouts(self._admin._client, list(self._logical))

    def _raw_partition(self, tp: TopicPartition, topic_id: str) -> RawPartition:
        return RawPartition(self._logical[tp.topic], tp.partition, topic_id)


def _ids(layouts: Mapping[str, Layout]) -> dict[str, str]:
    return {name: layout.topic_id.hex() for name, layout in layouts.items()}


@asynccontextmanager
async def kafka_offsets(pipeline: Pipeline, kafka: KafkaClients) -> AsyncIterator[KafkaOffsets]:
    """Connect to Kafka for the time of the context. Raises KafkaError."""
    consumer = kafka.offsets_reader(request_timeout_ms=REQUEST_TIMEOUT_MS)
    admin = kafka.admin(REQUEST_TIMEOUT_MS)
    try:
        await consumer.start()
        await admin.start()
        # A metadata request by name may make the broker create the topic, with its default partition count.
        if missing := {*pipeline.raw.values(), pipeline.facts} - await consumer.topics():
            raise UnknownTopicOrPartitionError(", ".join(sorted(missing)))
        yield KafkaOffsets(pipeline, consumer, admin)
    finally:
        await admin.close()
        await consumer.stop()
