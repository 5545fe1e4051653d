"""Reading topics from start to end, as they are now: for people and for recounts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

POLL_MS = 500


async def read_to_end(
    kafka: dict[str, Any], topics: Sequence[str], deadline_seconds: float
) -> AsyncIterator[Any]:
    """Yield every committed record that the topics hold at the start of the call. Raises TimeoutError."""
    consumer = AIOKafkaConsumer(
        **kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
        fetch_max_wait_ms=100,
    )
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + deadline_seconds
    try:
        await asyncio.wait_for(consumer.start(), deadline_seconds)
        partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in sorted(await partitions_of(consumer, topic, deadline_seconds))
        ]
        consumer.assign(partitions)
        ends = await asyncio.wait_for(consumer.end_offsets(partitions), deadline_seconds)
        starts = await asyncio.wait_for(consumer.beginning_offsets(partitions), deadline_seconds)
        for tp in partitions:
            consumer.seek(tp, starts[tp])
        todo = {tp for tp in partitions if starts[tp] < ends[tp]}
        while todo:
            if loop.time() > ends_at:
                raise TimeoutError(f"reading {', '.join(topics)} took longer than {deadline_seconds} s")
            for tp, records in (await consumer.getmany(*todo, timeout_ms=POLL_MS)).items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield record
            todo = {tp for tp in todo if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()


async def partitions_of(consumer: Any, topic: str, deadline_seconds: float) -> set[int]:
    """Return the partitions of a topic. Raises TimeoutError."""
    await asyncio.wait_for(consumer._client._wait_on_metadata(topic), deadline_seconds)
    return set(consumer.partitions_for_topic(topic) or ())
