"""Reading the counters changelog on from where copies of it end."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from tally.agents.audit.versions import Versions
from tally.schemas.keys import RowKey
from tally.schemas.missing import NO_ROW
from tally.schemas.rows import decode_row
from tally.schemas.topics import COUNTERS
from tally.streams.settings import Settings

DEADLINE_SECONDS = 60.0
POLL_MS = 200


class Following:
    """Takes up, whenever it is asked to, what was committed since the last time."""

    def __init__(self, consumer: Any, places: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._places = places

    async def take_up(self, versions: Versions) -> None:
        """Read to the present ends: by position, since markers are never delivered. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            ends = await self._consumer.end_offsets(self._places)
            todo = set(self._places)
            while todo := {tp for tp in todo if await self._consumer.position(tp) < ends[tp]}:
                for tp, records in (await self._consumer.getmany(*todo, timeout_ms=POLL_MS)).items():
                    for record in records:
                        if not record.key.startswith(NO_ROW) and record.value is not None:
                            row = decode_row(record.value)
                            versions.take(tp.partition, RowKey.decode(record.key), row)


@asynccontextmanager
async def following(settings: Settings, starts: Mapping[int, int]) -> AsyncIterator[Following]:
    """Follow the counters of all partitions from the given offsets on. Raises TimeoutError, KafkaError."""
    topic = settings.names.changelog(COUNTERS)
    places = {TopicPartition(topic, partition): offset for partition, offset in starts.items()}
    consumer = AIOKafkaConsumer(
        **settings.kafka_client(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
    )
    try:
        await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
        consumer.assign(list(places))
        for place, offset in places.items():
            consumer.seek(place, offset)
        yield Following(consumer, list(places))
    finally:
        await consumer.stop()
