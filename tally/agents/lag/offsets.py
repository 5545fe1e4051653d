"""Ends and offsets from Kafka, by few and small requests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code
from msgspec import Struct

from tally.agents.lag.tracker import RawPlace

REQUEST_TIMEOUT_MS = 5_000


class Pipeline(Struct, frozen=True):
    """The names that lag is measured by."""

    raw: Mapping[str, str]
    """Full name by logical name, of the raw topics that route reads."""
    facts: str
    facts_partitions: int
    group: str
    """Route's consumer group."""


class KafkaOffsets:
    """Reads ends with a consumer that takes part in no group, and commits with an admin client."""

    def __init__(self, pipeline: Pipeline, consumer: Any, admin: Any) -> None:
        self._pipeline = pipeline
        self._consumer = consumer
        self._admin = admin
        self._logical = {full: logical for logical, full in pipeline.raw.items()}
        self._facts = [TopicPartition(pipeline.facts, p) for p in range(pipeline.facts_partitions)]
        self._coordinator: int | None = None

    async def raw_begins(self) -> Mapping[RawPlace, int]:
        """Return where each partition of the raw topics begins. Raises KafkaError."""
        return self._by_place(await self._consumer.beginning_offsets(await self._raw_partitions()))

    async def raw_ends(self) -> Mapping[RawPlace, int]:
        """Return where each partition of the raw topics ends. Raises KafkaError."""
        return self._by_place(await self._consumer.end_offsets(await self._raw_partitions()))

    async def committed(self) -> Mapping[RawPlace, int]:
        """Return route's committed offsets. Raises KafkaError."""
        if self._coordinator is None:
            self._coordinator = await self._admin.find_coordinator(self._pipeline.group)
        found = await self._admin.list_consumer_group_offsets(self._pipeline.group, self._coordinator)
        if not found:
            # A broker that no longer coordinates the group answers like one that knows no offsets.
            self._coordinator = None
        return self._by_place({place: meta.offset for place, meta in found.items() if meta.offset >= 0})

    async def facts_ends(self) -> Mapping[int, int]:
        """Return where each partition of the facts log ends. Raises KafkaError."""
        ends = await self._consumer.end_offsets(self._facts)
        return {place.partition: end for place, end in ends.items()}

    async def _raw_partitions(self) -> list[TopicPartition]:
        """Return the raw topics' partitions; asked each time, since an operator may add some."""
        topics = await self._admin.describe_topics(list(self._logical))
        return [place for topic in topics for place in _partitions(topic)]

    def _by_place(self, offsets: Mapping[TopicPartition, int]) -> dict[RawPlace, int]:
        return {
            (self._logical[place.topic], place.partition): offset
            for place, offset in offsets.items()
            if place.topic in self._logical
        }


@asynccontextmanager
async def kafka_offsets(pipeline: Pipeline, client: Mapping[str, Any]) -> AsyncIterator[KafkaOffsets]:
    """Connect to Kafka for as long as offsets are asked for. Raises KafkaError."""
    consumer = AIOKafkaConsumer(
        **client,
        group_id=None,
        enable_auto_commit=False,
        # Records of an open transaction have not happened yet.
        isolation_level="read_committed",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    admin = AIOKafkaAdminClient(**client, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await consumer.start()
        await admin.start()
        # Asked about a topic by name, a broker may create it, with its own idea of partitions.
        if missing := {*pipeline.raw.values(), pipeline.facts} - await consumer.topics():
            raise UnknownTopicOrPartitionError(", ".join(sorted(missing)))
        yield KafkaOffsets(pipeline, consumer, admin)
    finally:
        await admin.close()
        await consumer.stop()


def _partitions(topic: Mapping[str, Any]) -> list[TopicPartition]:
    if topic["error_code"]:
        error: type[KafkaError] = for_code(topic["error_code"])
        raise error(topic["topic"])
    found = [TopicPartition(topic["topic"], part["partition"]) for part in topic["partitions"]]
    if not found:
        raise UnknownTopicOrPartitionError(topic["topic"])
    return found
