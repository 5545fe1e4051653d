"""Fills raw topics with many records in few requests, which keeps the cost of producing low."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import count

from aiokafka import AIOKafkaProducer

from tally.simulator.records import RawRecord
from tally.streams.operations import topics
from tally.streams.settings import Settings
from tally.tables.kafka.batches import Entry, acknowledged, send_entries
from tests.support.keys import put_key

CHUNK = 4_000
DEADLINE_SECONDS = 120.0
_serial = count()


async def fill(settings: Settings, records: Sequence[RawRecord]) -> None:
    """Declare the topics, and publish the key of the judge and the records in their order."""
    await topics.declare(settings)
    await put_key(settings)
    producer = AIOKafkaProducer(**settings.kafka.client(), acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for first in range(0, len(records), CHUNK):
                await send_together(producer, settings, records[first : first + CHUNK])
    finally:
        await producer.stop()


async def send_together(producer: AIOKafkaProducer, settings: Settings, records: Sequence[RawRecord]) -> None:
    """Publish records to the partitions in turn, and wait for the acknowledgements."""
    by_place: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for record in records:
        place = (settings.names.raw(record.topic), next(_serial) % settings.partitions)
        by_place[place].append((record.key, record.value))
    sent = [
        part
        for (topic, partition), entries in by_place.items()
        for part in await send_entries(producer, topic, partition, entries)
    ]
    await acknowledged([part.future for part in sent])
