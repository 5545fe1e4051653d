"""Counts the raw topics again into separate stores, with the families of this version."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from msgspec import structs

from tally.agents.audit.counting import folded
from tally.agents.route.decision import read_record
from tally.schemas.keys import partition_of
from tally.schemas.numbers import numbers_of
from tally.schemas.records import record_value
from tally.schemas.sources import READERS
from tally.streams.audit.copies import Copies
from tally.streams.operations.numbers import all_numbers
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import partitions_of, read_to_end
from tally.tables.kafka.unread import stands_in
from tally.tables.store.local import LocalStore, Meta

OFFSETS_SECONDS = 30.0


async def partitions_of_facts(settings: Settings) -> int:
    """Return how many partitions the facts log has. Raises TimeoutError and KafkaError."""
    async with _consumer(settings) as consumer:
        return len(await partitions_of(consumer, settings.names.facts, OFFSETS_SECONDS))


async def raw_offsets(settings: Settings) -> dict[TopicPartition, tuple[int, int]]:
    """Return the start and end offset of each raw partition. Raises TimeoutError and KafkaError."""
    async with _consumer(settings) as consumer:
        found = [
            TopicPartition(settings.names.raw(source), partition)
            for source in READERS
            for partition in sorted(
                await partitions_of(consumer, settings.names.raw(source), OFFSETS_SECONDS)
            )
        ]
        starts = await asyncio.wait_for(consumer.beginning_offsets(found), OFFSETS_SECONDS)
        ends = await asyncio.wait_for(consumer.end_offsets(found), OFFSETS_SECONDS)
    return {tp: (starts[tp], ends[tp]) for tp in found}


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[Any]:
    consumer = settings.kafka.offsets_reader()
    try:
        await asyncio.wait_for(consumer.start(), OFFSETS_SECONDS)
        yield consumer
    finally:
        await consumer.stop()


DEADLINE_SECONDS = 3600.0
BATCH_FACTS = 2_000


class Fact(NamedTuple):
    """A fact as the facts log would hold it."""

    offset: int
    key: bytes
    value: bytes


async def counted_from_raw(settings: Settings, copies: Copies, partitions: int) -> dict[int, LocalStore]:
    """Return for each partition a store with the count of all events that the raw topics still hold."""
    logical = {settings.names.raw(source): source for source in READERS}
    stores = {partition: copies.store("raw", partition) for partition in range(partitions)}
    conventions = structs.replace(settings.conventions, numbers=numbers_of(await all_numbers(settings)))
    waiting: defaultdict[int, list[Fact]] = defaultdict(list)
    async for record in read_to_end(settings.kafka, list(logical), DEADLINE_SECONDS):
        if stands_in(record):
            continue
        routed, origin = read_record(logical[record.topic], record, record.partition, conventions)
        for keyed in routed.facts:
            facts = waiting[partition_of(keyed.key, partitions)]
            facts.append(Fact(len(facts), keyed.key, record_value(keyed.family, origin, keyed.fact)))
        for partition in [p for p, facts in waiting.items() if len(facts) >= BATCH_FACTS]:
            _fold(waiting.pop(partition), stores[partition], settings)
    for partition, facts in waiting.items():
        _fold(facts, stores[partition], settings)
    return stores


def _fold(facts: list[Fact], store: LocalStore, settings: Settings) -> None:
    for writes in folded(facts, store, settings.rules):
        store.write(writes, Meta("audit", {}, 0))
