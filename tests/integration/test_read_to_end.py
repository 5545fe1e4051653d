"""Reading to the end on real Kafka: every reader finishes, even if the last records are never delivered.

Store recovery, the audit, the view and the commands all read by these functions.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.read_to_end import read_to_end, read_up_to, short_of, time_of
from tests.support.servers import Kafka

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

DEADLINE_SECONDS = 30.0
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "segment.ms": "100",
    "min.compaction.lag.ms": "0",
    "delete.retention.ms": "0",
}
CLEANED_SECONDS = 90.0


class Log:
    """A topic of two partitions that no other test uses, written to in transactions."""

    def __init__(self, clients: KafkaClients, name: str, producer: AIOKafkaProducer) -> None:
        self.clients = clients
        self.name = name
        self._producer = producer

    async def commit(self, *values: bytes, partition: int = 0) -> None:
        async with self._producer.transaction():
            await self._send(values, partition)
        await self._ended(partition)

    async def abort(self, *values: bytes, partition: int = 0) -> None:
        await self.leave_open(*values, partition=partition)
        await self._producer.abort_transaction()
        await self._ended(partition)

    async def _ended(self, partition: int) -> None:
        """Wait for the marker: a coordinator answers before it has written markers to the logs."""
        tp = TopicPartition(self.name, partition)
        async with reading(self) as (consumer, _), asyncio.timeout(DEADLINE_SECONDS):
            watermarks = self.clients.offsets_reader()
            await watermarks.start()
            try:
                while await consumer.end_offsets([tp]) != await watermarks.end_offsets([tp]):
                    await asyncio.sleep(0.02)
            finally:
                await watermarks.stop()

    async def leave_open(self, *values: bytes, partition: int = 0) -> None:
        await self._producer.begin_transaction()
        await self._send(values, partition)

    async def _send(self, values: Sequence[bytes], partition: int) -> None:
        for value in values:
            await self._producer.send_and_wait(self.name, value, key=value[:1], partition=partition)

    async def values(self, deadline_seconds: float = DEADLINE_SECONDS) -> list[bytes]:
        return [record.value async for record in read_to_end(self.clients, [self.name], deadline_seconds)]


@asynccontextmanager
async def log_of(kafka: Kafka, **configs: str) -> AsyncIterator[Log]:
    clients, name = KafkaClients((kafka.bootstrap,)), f"to-end-{uuid4().hex[:8]}"
    admin = clients.admin(request_timeout_ms=10_000)
    producer = clients.transactional_producer(name, linger_ms=0)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=configs)])
        await producer.start()
        try:
            yield Log(clients, name, producer)
        finally:
            await producer.stop()
    finally:
        await admin.close()


@pytest_asyncio.fixture
async def log(kafka: Kafka) -> AsyncIterator[Log]:
    async with log_of(kafka) as made:
        yield made


async def test_an_empty_topic_ends_at_once(log: Log) -> None:
    assert await log.values() == []


async def test_markers_and_aborted_records_at_the_end_are_no_reason_to_wait(log: Log) -> None:
    await log.commit(b"a", b"b")
    await log.commit(b"c", partition=1)
    await log.abort(b"x", b"y")
    await log.abort(b"z", partition=1)

    assert sorted(await log.values()) == [b"a", b"b", b"c"]


async def test_a_transaction_that_is_open_is_neither_read_nor_waited_for(log: Log) -> None:
    await log.commit(b"a")
    await log.leave_open(b"x")

    assert await log.values() == [b"a"]


async def test_records_that_were_deleted_are_passed_over(log: Log) -> None:
    await log.commit(b"a", b"b", b"c")
    admin = log.clients.admin(request_timeout_ms=10_000)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(log.name, 0): RecordsToDelete(2)})
    finally:
        await admin.close()

    assert await log.values() == [b"c"]


async def test_what_a_compaction_took_away_is_passed_over(kafka: Kafka) -> None:
    async with log_of(kafka, **COMPACTED) as log:
        for n in range(5):
            await log.commit(b"a%d" % n, b"b%d" % n)
            await asyncio.sleep(0.2)
        await log.commit(b"c")
        async with asyncio.timeout(CLEANED_SECONDS):
            while b"a0" in (found := await log.values()):
                await asyncio.sleep(1)

    assert found[-3:] == [b"a4", b"b4", b"c"]


async def test_what_comes_while_it_reads_is_not_read(log: Log) -> None:
    await log.commit(b"a", b"b")
    found: list[bytes] = []
    async for record in read_to_end(log.clients, [log.name], DEADLINE_SECONDS):
        if not found:
            await log.commit(b"late", partition=1)
            await log.commit(b"late")
        found.append(record.value)

    assert found == [b"a", b"b"]


async def test_a_deadline_ends_it_while_records_arrive(log: Log) -> None:
    await log.commit(b"a", b"b")
    async with reading(log, max_poll_records=1) as (consumer, tp):
        until_s = asyncio.get_running_loop().time() + 1.0
        arriving = read_up_to(consumer, {tp: 2}, DEADLINE_SECONDS, until_s)
        assert [record.value for record in (await anext(arriving))[tp]] == [b"a"]
        await asyncio.sleep(1.1)
        with pytest.raises(TimeoutError, match=f"reading {log.name} took too long"):
            await anext(arriving)


async def test_silence_ends_it_and_records_that_arrive_are_none(log: Log) -> None:
    await log.commit(*[b"%d" % n for n in range(5)])
    async with reading(log, max_poll_records=1) as (consumer, tp):
        arriving = read_up_to(consumer, {tp: 9}, 2.0)
        for n in range(5):
            await asyncio.sleep(0.5)
            assert [record.value for record in (await anext(arriving))[tp]] == [b"%d" % n]
        assert await anext(arriving) == {}  # the marker
        with pytest.raises(TimeoutError, match=f"nothing of {log.name} arrived"):
            await anext(arriving)


async def test_a_reader_goes_on_where_it_ended(log: Log) -> None:
    """As the audit does, and the view: the same consumer, to ends that are asked for anew."""
    await log.commit(b"a")
    async with reading(log) as (consumer, tp):
        assert await short_of(consumer, {tp: 1}) == {tp}
        assert await taken(consumer, tp) == [b"a"]
        await log.commit(b"b")
        await log.abort(b"x")
        assert await taken(consumer, tp) == [b"b"]
        assert await taken(consumer, tp) == []
        assert await short_of(consumer, await consumer.end_offsets([tp])) == set()


@asynccontextmanager
async def reading(log: Log, **options: Any) -> AsyncIterator[tuple[Any, TopicPartition]]:
    tp = TopicPartition(log.name, 0)
    consumer = log.clients.reader("none", fetch_max_wait_ms=50, **options)
    await consumer.start()
    try:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        yield consumer, tp
    finally:
        await consumer.stop()


async def taken(consumer: Any, tp: TopicPartition) -> list[bytes]:
    ends = await consumer.end_offsets([tp])
    return [
        record.value
        async for arrived in read_up_to(consumer, ends, DEADLINE_SECONDS)
        for record in arrived.get(tp, [])
    ]


async def test_the_time_of_a_record_is_the_brokers(log: Log) -> None:
    await log.commit(b"a")

    assert (await time_of(log.clients, log.name, 0, 0, DEADLINE_SECONDS) or 0) > 0
    assert await time_of(log.clients, log.name, 0, 7, DEADLINE_SECONDS) is None
    assert await time_of(log.clients, log.name, 9, 0, DEADLINE_SECONDS) is None
    assert await time_of(log.clients, f"{log.name}-none", 0, 0, DEADLINE_SECONDS) is None
