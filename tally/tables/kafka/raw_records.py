"""Raw records read by reference: by topic, partition and offset, each as it was published, or gone by now."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from msgspec import Struct

from tally.schemas.places import RecordPlace
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.delivered import RawRecord
from tally.tables.kafka.read_to_end import partitions_of

POLL_MS = 200
MOST_BYTES = 8 << 20
"""Of records that are read at once; behind it the rest is left out."""


class LogPlace(NamedTuple):
    """Where a record lies."""

    topic: str
    """Its full name, with a deployment's prefix."""
    partition: int
    offset: int


class Held(Struct, frozen=True):
    """A record that the topic still holds."""

    record: RawRecord


class Gone(Struct, frozen=True):
    """A record that was deleted, or never was."""

    held_since_ms: int | None
    """Kafka's time of the first record that its partition still holds; None if it holds none."""


def raw_reader(
    kafka: KafkaClients, named: Callable[[str], str], deadline_seconds: float
) -> Callable[[Collection[RecordPlace]], Awaitable[dict[RecordPlace, Held | Gone]]]:
    """Return what reads places of raw topics, whose full names are those that `named` gives them."""

    async def read(places: Collection[RecordPlace]) -> dict[RecordPlace, Held | Gone]:
        logs = {place: LogPlace(named(place.topic), place.partition, place.offset) for place in places}
        found = await read_places(kafka, logs.values(), deadline_seconds) if logs else {}
        return {place: found[log] for place, log in logs.items() if log in found}

    return read


async def read_places(
    kafka: KafkaClients, places: Collection[LogPlace], deadline_seconds: float
) -> dict[LogPlace, Held | Gone]:
    """Return what lies at each place, up to `MOST_BYTES`. Raises TimeoutError, KafkaError."""
    # The smallest fetch: the broker sends one batch, whatever its size, of which one record is wanted.
    consumer = kafka.reader("earliest", max_partition_fetch_bytes=1, fetch_max_wait_ms=100)
    try:
        async with asyncio.timeout(deadline_seconds):
            await consumer.start()
            there = await _there(consumer, {place.topic for place in places}, deadline_seconds)
            found: dict[LogPlace, Held | Gone] = {}
            for log, wanted in groupby(sorted(places), attrgetter("topic", "partition")):
                tp, of_log = TopicPartition(*log), list(wanted)
                if tp in there:
                    await _add_found(consumer, tp, of_log, found)
                else:
                    found |= dict.fromkeys(of_log, Gone(None))
            return found
    finally:
        await consumer.stop()


async def _there(consumer: Any, topics: Collection[str], deadline_seconds: float) -> set[TopicPartition]:
    """Return the partitions of those of the topics that there are."""
    known = topics & await consumer.topics()
    return {
        TopicPartition(topic, partition)
        for topic in known
        for partition in await partitions_of(consumer, topic, deadline_seconds)
    }


async def _add_found(
    consumer: Any, tp: TopicPartition, places: Iterable[LogPlace], found: dict[LogPlace, Held | Gone]
) -> None:
    """Add what lies at places of one partition."""
    consumer.assign([tp])
    begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    gone: Gone | None = None
    for place in places:
        if sum(len(one.record.value or b"") for one in found.values() if isinstance(one, Held)) > MOST_BYTES:
            return
        record = await _first(consumer, tp, place.offset) if begin <= place.offset < end else None
        if record is not None and record.offset == place.offset:
            found[place] = Held(record)
            continue
        if gone is None:
            first = await _first(consumer, tp, begin) if begin < end else None
            gone = Gone(None if first is None else first.timestamp)
        found[place] = gone


async def _first(consumer: Any, tp: TopicPartition, offset: int) -> Any:
    """Return the first record from an offset on; None where only markers of transactions follow."""
    consumer.seek(tp, offset)
    while True:
        records = (await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=1)).get(tp)
        if records:
            return records[0]
        if await consumer.position(tp) >= (await consumer.end_offsets([tp]))[tp]:
            return None
