"""Raw topics filled before anybody is measured, so that no producer shares the cores with a contender."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from random import Random

from aiokafka import AIOKafkaProducer

from tally.streams import topics
from tally.streams.settings import Settings
from tally.streams.simulator.records import RawRecord
from tally.tables.producing import Entry, send_entries, settle

CHUNK = 4_000
DEADLINE_SECONDS = 120.0


async def fill(settings: Settings, records: Sequence[RawRecord], seed: int) -> None:
    """Declare the topics and publish records in their order, each to a partition drawn from the seed."""
    await topics.declare(settings)
    rng = Random(seed)
    producer = AIOKafkaProducer(**settings.kafka_client(), acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for first in range(0, len(records), CHUNK):
                await _publish(producer, settings, records[first : first + CHUNK], rng)
    finally:
        await producer.stop()


async def _publish(
    producer: AIOKafkaProducer, settings: Settings, records: Sequence[RawRecord], rng: Random
) -> None:
    by_place: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for record in records:
        place = (settings.names.raw(record.topic), rng.randrange(settings.partitions))
        by_place[place].append((record.key, record.value))
    for (topic, partition), entries in by_place.items():
        sent = await send_entries(producer, topic, partition, entries)
        await settle([part.future for part in sent])
