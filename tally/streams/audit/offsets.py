"""What an audit asks Kafka beside the changelogs: how many partitions there are, and where raw topics end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from tally.agents.route.decision import READERS
from tally.streams.operations.read_to_end import partitions_of
from tally.streams.settings import Settings

DEADLINE_SECONDS = 30.0


async def partitions_of_facts(settings: Settings) -> int:
    """Return how many partitions the facts log has. Raises TimeoutError and KafkaError."""
    async with _consumer(settings) as consumer:
        return len(await partitions_of(consumer, settings.names.facts, DEADLINE_SECONDS))


async def raw_offsets(settings: Settings) -> dict[TopicPartition, tuple[int, int]]:
    """Return where each partition of the raw topics begins and ends. Raises TimeoutError and KafkaError."""
    async with _consumer(settings) as consumer:
        found = [
            TopicPartition(settings.names.raw(source), partition)
            for source in READERS
            for partition in sorted(
                await partitions_of(consumer, settings.names.raw(source), DEADLINE_SECONDS)
            )
        ]
        starts = await asyncio.wait_for(consumer.beginning_offsets(found), DEADLINE_SECONDS)
        ends = await asyncio.wait_for(consumer.end_offsets(found), DEADLINE_SECONDS)
    return {tp: (starts[tp], ends[tp]) for tp in found}


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)
    try:
        await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
        yield consumer
    finally:
        await consumer.stop()
