"""Raw records read by reference: by topic, partition and offset, each as it was published, or gone by now."""

import asyncio
from collections.abc import Callable, Collection, Iterable
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
SPAN_FETCH_BYTES = 1 << 20
SPAN_RECORDS = 500
"""Of a span so many records are looked at in one turn of the event loop."""
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


class Span(NamedTuple):
    """Consecutive records of one partition of a raw topic, from the first to the last offset."""

    topic: str
    partition: int
    first: int
    last: int


class RawTopics:
    """Reads the raw topics of a deployment; each read has a deadline and a consumer of its own."""

    def __init__(self, kafka: KafkaClients, named: Callable[[str], str], deadline_seconds: float) -> None:
        """Read the topics by the full names that `named` gives them."""
        self._kafka = kafka
        self._named = named
        self._deadline_seconds = deadline_seconds

    async def at(self, places: Collection[RecordPlace]) -> dict[RecordPlace, Held | Gone]:
        """Return what lies at each place, up to `MOST_BYTES`. Raises TimeoutError, KafkaError."""
        logs = {place: LogPlace(self._named(place.topic), place.partition, place.offset) for place in places}
        found = await read_places(self._kafka, logs.values(), self._deadline_seconds) if logs else {}
        return {place: found[log] for place, log in logs.items() if log in found}

    async def between(self, span: Span, names: Collection[bytes]) -> dict[RecordPlace, Held]:
        """Return the records of a span that hold any of these names, up to `MOST_BYTES`.

        Raises TimeoutError, KafkaError.
        """
        log = LogPlace(self._named(span.topic), span.partition, span.first)
        found = await read_span(self._kafka, log, span.last, names, self._deadline_seconds)
        return {RecordPlace(span.topic, span.partition, one.offset): Held(one) for one in found}


async def read_span(
    kafka: KafkaClients, log: LogPlace, last: int, names: Collection[bytes], deadline_seconds: float
) -> list[RawRecord]:
    """Return the records from a place to an offset that hold any of these names, up to `MOST_BYTES`."""
    consumer = kafka.reader("earliest", max_partition_fetch_bytes=SPAN_FETCH_BYTES, fetch_max_wait_ms=100)
    tp, found, size = TopicPartition(log.topic, log.partition), list[RawRecord](), 0
    try:
        async with asyncio.timeout(deadline_seconds):
            await consumer.start()
            if tp not in await _there(consumer, {log.topic}, deadline_seconds):
                return []
            consumer.assign([tp])
            end = min(last + 1, (await consumer.end_offsets([tp]))[tp])
            consumer.seek(tp, log.offset)
            while await consumer.position(tp) < end and size <= MOST_BYTES:
                arrived = await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=SPAN_RECORDS)
                for one in arrived.get(tp, ()):
                    value = one.value or b""
                    if one.offset <= last and any(name in value for name in names):
                        found.append(one)
                        size += len(value)
            return found
    finally:
        await consumer.stop()


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
