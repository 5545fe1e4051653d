"""Reading topics from start to end, as they are now: for people and for recounts."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from aiokafka import TopicPartition

from tally.tables.kafka.clients import KafkaClients

POLL_MS = 500


async def read_to_end(
    kafka: KafkaClients, topics: Sequence[str], deadline_seconds: float, since_ms: int | None = None
) -> AsyncGenerator[Any, None]:
    """Yield every committed record that the topics hold at the start of the call. Raises TimeoutError.

    With `since_ms` those of each partition from the first one on that Kafka has had since that time.
    """
    consumer = kafka.reader("earliest", max_partition_fetch_bytes=4 << 20, fetch_max_wait_ms=100)
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
        if since_ms is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            starts = {tp: ends[tp] if at is None else at.offset for tp, at in found.items()}
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


async def time_of(
    kafka: KafkaClients, topic: str, partition: int, offset: int, deadline_seconds: float
) -> int | None:
    """Return Kafka's time of one record, in ms; None where it is not there, or not any more."""
    consumer = kafka.offsets_reader(max_partition_fetch_bytes=1, fetch_max_wait_ms=100)
    tp = TopicPartition(topic, partition)
    try:
        async with asyncio.timeout(deadline_seconds):
            await consumer.start()
            if topic not in await consumer.topics():
                return None
            if partition not in await partitions_of(consumer, topic, deadline_seconds):
                return None
            consumer.assign([tp])
            starts, ends = await consumer.beginning_offsets([tp]), await consumer.end_offsets([tp])
            if not starts[tp] <= offset < ends[tp]:
                return None
            consumer.seek(tp, offset)
            records = (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ())
            at_ms: int | None = next((one.timestamp for one in records if one.offset >= offset), None)
            return at_ms
    finally:
        await consumer.stop()


async def partitions_of(consumer: Any, topic: str, deadline_seconds: float) -> set[int]:
    """Return the partitions of a topic. Raises TimeoutError."""
    await asyncio.wait_for(consumer._client._wait_on_metadata(topic), deadline_seconds)
    return set(consumer.partitions_for_topic(topic) or ())
