"""Reading logs up to their present ends, judged by the consumer's *position*.

The last offset of a transactional log is a marker, which is never delivered. Compacted records and those of
aborted transactions are not delivered either. A reader that waits for the last record could wait for ever.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any

from aiokafka import TopicPartition

from tally.tables.kafka.clients import KafkaClients

POLL_MS = 200
FETCH_BYTES = 4 << 20

Ends = Mapping[TopicPartition, int]
Arrived = Mapping[TopicPartition, list[Any]]


async def short_of(consumer: Any, ends: Ends) -> set[TopicPartition]:
    """Return the partitions whose position has not reached these ends yet."""
    return {tp for tp, end in ends.items() if await consumer.position(tp) < end}


async def read_up_to(
    consumer: Any, ends: Ends, silent_seconds: float, until_s: float = inf
) -> AsyncGenerator[Arrived, None]:
    """Yield records by partition until the consumer's positions reach these ends.

    The caller seeks the consumer to where reading begins. Some records may lie beyond the ends. A mapping is
    empty where the position moved over undelivered offsets only. Raises TimeoutError if the position does not
    move for `silent_seconds`, or if the loop's time passes `until_s`, even while records arrive.
    """
    loop = asyncio.get_running_loop()
    todo = await short_of(consumer, ends)
    while todo:
        if loop.time() > until_s:
            raise TimeoutError(f"reading {_topics(todo)} took too long")
        try:
            async with asyncio.timeout_at(min(loop.time() + silent_seconds, until_s)):
                arrived = await _arrived(consumer, todo)
        except TimeoutError:
            raise TimeoutError(f"nothing of {_topics(todo)} arrived in time") from None
        yield arrived
        todo = await short_of(consumer, {tp: ends[tp] for tp in todo})


async def _arrived(consumer: Any, todo: set[TopicPartition]) -> Arrived:
    """Return records, or none once the position has moved over undelivered offsets."""
    before = {tp: await consumer.position(tp) for tp in todo}
    while True:
        arrived: Arrived = await consumer.getmany(*todo, timeout_ms=POLL_MS)
        if arrived or any([await consumer.position(tp) > before[tp] for tp in todo]):
            return arrived


def _topics(partitions: set[TopicPartition]) -> str:
    return ", ".join(sorted({tp.topic for tp in partitions}))


async def read_to_end(
    kafka: KafkaClients,
    topics: Sequence[str],
    deadline_seconds: float,
    since_ms: int | None = None,
    begin: Mapping[TopicPartition, int] = MappingProxyType({}),
) -> AsyncGenerator[Any, None]:
    """Yield every committed record that the topics hold at the start of the call.

    With `since_ms` a partition is read from its first record with that Kafka time or a later one, and one of
    `begin` from that offset. The deadline covers the whole iteration, including the caller's own work. Raises
    TimeoutError, KafkaError.
    """
    consumer = kafka.reader("earliest", max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=100)
    until_s = asyncio.get_running_loop().time() + deadline_seconds
    try:
        async with asyncio.timeout_at(until_s):
            await consumer.start()
            ends = await _seek_to_starts(consumer, topics, deadline_seconds, since_ms)
            for tp, offset in begin.items():
                if (await consumer.position(tp)) < offset:
                    consumer.seek(tp, min(offset, ends[tp]))
        async for arrived in read_up_to(consumer, ends, deadline_seconds, until_s):
            for tp, records in arrived.items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield record
    finally:
        await consumer.stop()


async def _seek_to_starts(
    consumer: Any, topics: Sequence[str], deadline_seconds: float, since_ms: int | None
) -> Ends:
    """Seek a consumer to where reading begins in all partitions, and return where they end."""
    partitions = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in sorted(await partitions_of(consumer, topic, deadline_seconds))
    ]
    consumer.assign(partitions)
    ends: Ends = await consumer.end_offsets(partitions)
    starts = await consumer.beginning_offsets(partitions)
    if since_ms is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        starts = {tp: ends[tp] if at is None else at.offset for tp, at in found.items()}
    for tp in partitions:
        consumer.seek(tp, starts[tp])
    return ends


async def time_of(
    kafka: KafkaClients, topic: str, partition: int, offset: int, deadline_seconds: float
) -> int | None:
    """Return the Kafka time of one record in ms; None if it does not exist, or no longer."""
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
            records = (await consumer.getmany(tp, timeout_ms=500)).get(tp, ())
            at_ms: int | None = next((one.timestamp for one in records if one.offset >= offset), None)
            return at_ms
    finally:
        await consumer.stop()


async def partitions_of(consumer: Any, topic: str, deadline_seconds: float) -> set[int]:
    """Return the partitions of a topic. Raises TimeoutError."""
    await asyncio.wait_for(consumer._client._wait_on_metadata(topic), deadline_seconds)
    return set(consumer.partitions_for_topic(topic) or ())
