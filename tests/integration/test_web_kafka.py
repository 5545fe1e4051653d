"""The view and the lag on a real Kafka: transactions, markers, commits."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tally.agents.lag.loop import LagLoop
from tally.agents.lag.offsets import KafkaOffsets, Pipeline, kafka_offsets
from tally.agents.lag.tracker import LagTracker, Moment
from tally.agents.view.loop import ViewLoop, changelog_consumer
from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.schemas.rows import PROGRESS_KEY, Row, encode
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.layouts import present_layouts
from tests.support.servers import Kafka
from tests.support.view_rows import PROMO, progress
from tests.support.waiting import until

PARTITIONS = 3
KEY = RowKey("t1", "c1", PROMO)


def now() -> Moment:
    return Moment(time.monotonic(), time.time_ns() // 1_000_000)


async def create_topics(kafka: Kafka, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


async def topics_of(kafka: Kafka) -> set[str]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)
    await consumer.start()
    try:
        return set(await consumer.topics())
    finally:
        await consumer.stop()


@asynccontextmanager
async def started(client: Any) -> AsyncIterator[Any]:
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def running(loop: ViewLoop | LagLoop) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def view_loop(kafka: Kafka, topic: str, view: View, visible: list[float]) -> ViewLoop:
    return ViewLoop(
        view,
        topic,
        lambda: changelog_consumer(KafkaClients((kafka.bootstrap,))),
        lambda: time.time() * 1000,
        visible.append,
        random.Random(0).random,
    )


async def send(producer: AIOKafkaProducer, topic: str, partition: int, next_offset: int) -> None:
    """Write a row and then the progress, as a fold's transaction does."""
    batch = producer.create_batch()
    row = encode(Row(next_offset, 1, 2, [], {"contacts": next_offset}))
    batch.append(key=KEY.encode(), value=row, timestamp=None)
    value = progress(next_offset, raw_at_ms=time.time_ns() // 1_000_000)
    batch.append(key=PROGRESS_KEY, value=value, timestamp=None)
    await (await producer.send_batch(batch, topic, partition=partition))


def transactional(kafka: Kafka, topic: str) -> Any:
    return started(AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"{topic}/0"))


@pytest.mark.alone
@pytest.mark.asyncio
async def test_the_view_is_ready_at_the_end_and_shows_committed_rows_within_moments(kafka: Kafka) -> None:
    topic, view, visible = f"counters-{uuid4().hex}", View(PARTITIONS), list[float]()
    await create_topics(kafka, topic)
    async with transactional(kafka, topic) as producer:
        for partition in range(PARTITIONS - 1):
            async with producer.transaction():
                await send(producer, topic, partition, next_offset=1)
        async with running(view_loop(kafka, topic, view, visible)):
            await until(lambda: view.ready_partitions == PARTITIONS)
            assert [view.next_offset(partition) for partition in range(PARTITIONS)] == [1, 1, 0]
            assert visible == []
            waits = []
            for next_offset in range(2, 42):
                async with producer.transaction():
                    await send(producer, topic, next_offset % PARTITIONS, next_offset)
                committed_at = time.perf_counter()
                await until(lambda: view.next_offset(next_offset % PARTITIONS) == next_offset)  # noqa: B023
                waits.append(time.perf_counter() - committed_at)
            assert sorted(waits)[len(waits) // 2] < 0.1
            assert len(visible) == 40
            found = view.find("t1", "c1")
            assert found is not None
            assert sum(row.counts["contacts"] for _, _, row in found.rows()) == 39 + 40 + 41


@pytest.mark.asyncio
async def test_rows_of_open_and_aborted_transactions_are_never_seen(kafka: Kafka) -> None:
    topic, view = f"counters-{uuid4().hex}", View(PARTITIONS)
    await create_topics(kafka, topic)
    async with transactional(kafka, topic) as producer:
        await producer.begin_transaction()
        await send(producer, topic, 0, next_offset=7)
        await producer.abort_transaction()
        # An aborted end, and nothing else, is an end that only a position reaches.
        async with running(view_loop(kafka, topic, view, [])):
            await until(lambda: view.ready_partitions == PARTITIONS)
            await producer.begin_transaction()
            await send(producer, topic, 0, next_offset=8)
            await asyncio.sleep(0.5)
            assert view.progress(0) is None
            assert view.rows(0) == {}
            await producer.commit_transaction()
            await until(lambda: view.next_offset(0) == 8)


@pytest.mark.asyncio
async def test_reading_a_topic_that_is_not_declared_yet_does_not_create_it(kafka: Kafka) -> None:
    topic, view = f"counters-{uuid4().hex}", View(PARTITIONS)
    pipeline = Pipeline({"webhook-events": f"{topic}-raw"}, f"{topic}-facts", PARTITIONS, f"{topic}-route")
    lag = lag_loop(kafka, pipeline, LagTracker(), {}, [])
    async with running(view_loop(kafka, topic, view, [])), running(lag):
        await asyncio.sleep(1.0)
        assert not [name for name in await topics_of(kafka) if name.startswith(topic)]
        await create_topics(kafka, topic)
        await until(lambda: view.ready_partitions == PARTITIONS)


def lag_loop(
    kafka: Kafka,
    pipeline: Pipeline,
    tracker: LagTracker,
    counted: dict[int, int],
    measured: list[Any],
) -> LagLoop:
    def connect() -> Any:
        return kafka_offsets(pipeline, KafkaClients((kafka.bootstrap,)))

    return LagLoop(
        tracker,
        connect,
        lambda: counted,
        measured.append,
        now,
        random.Random(0).random,
        interval_seconds=0.02,
    )


@pytest.mark.asyncio
async def test_as_of_waits_for_route_and_then_for_the_view(kafka: Kafka) -> None:
    name = f"lag-{uuid4().hex}"
    raw = {"webhook-events": f"{name}-w", "send-results": f"{name}-s"}
    pipeline = Pipeline(raw, f"{name}-facts", PARTITIONS, f"{name}-route")
    await create_topics(kafka, *raw.values(), pipeline.facts)
    tracker, counted, measured = LagTracker(), dict.fromkeys(range(PARTITIONS), 0), list[Any]()
    loop = lag_loop(kafka, pipeline, tracker, counted, measured)

    def is_fresh(since: Moment) -> bool:
        as_of = tracker.as_of(counted)
        return as_of is not None and as_of >= since

    place = TopicPartition(raw["webhook-events"], 1)
    async with (
        started(AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)) as producer,
        started(
            AIOKafkaConsumer(
                bootstrap_servers=kafka.bootstrap, group_id=pipeline.group, enable_auto_commit=False
            )
        ) as route,
        running(loop),
    ):
        route.assign([place])
        began = now()
        await until(lambda: bool(measured))
        assert tracker.as_of(counted) is None
        ids = {
            name: one.topic_id.hex()
            for name, one in (await present_layouts(route._client, list(raw.values()))).items()
        }
        everywhere = [TopicPartition(name, p) for name in ids for p in range(PARTITIONS)]
        route.assign(everywhere)
        await route.commit({one: (0, ids[one.topic]) for one in everywhere})
        await until(lambda: is_fresh(began))

        await producer.send_and_wait(place.topic, b"raw", partition=place.partition)
        arrived = now()
        await until(lambda: bool(measured) and measured[-1]["webhook-events"] == 1)
        await asyncio.sleep(0.3)
        assert not is_fresh(arrived)

        await producer.send_and_wait(pipeline.facts, b"fact", partition=2)
        await route.commit({place: (1, "another topic's")})
        await asyncio.sleep(0.3)
        assert measured[-1]["webhook-events"] == 1
        await route.commit({place: (1, ids[place.topic])})
        await until(lambda: measured[-1] == {"webhook-events": 0, "send-results": 0, "facts": 1})
        await asyncio.sleep(0.3)
        assert not is_fresh(arrived)

        counted[2] = 1
        await until(lambda: is_fresh(arrived))
        await until(lambda: measured[-1]["facts"] == 0)


@pytest.mark.asyncio
async def test_an_end_is_behind_the_records_of_a_transaction_that_is_still_open(kafka: Kafka) -> None:
    name = f"lag-{uuid4().hex}"
    pipeline = Pipeline({"webhook-events": f"{name}-w"}, f"{name}-facts", PARTITIONS, f"{name}-route")
    await create_topics(kafka, f"{name}-w", pipeline.facts)
    async with (
        transactional(kafka, name) as producer,
        kafka_offsets(pipeline, KafkaClients((kafka.bootstrap,))) as offsets,
    ):
        async with producer.transaction():
            await producer.send_and_wait(f"{name}-w", b"raw", partition=0)
            assert await ends(offsets) == {0: 1, 1: 0, 2: 0}
        # The record and the transaction's marker, which the broker writes after it has answered the producer.
        async with asyncio.timeout(10):
            while (found := await ends(offsets)) == {0: 1, 1: 0, 2: 0}:
                await asyncio.sleep(0.02)
        assert found == {0: 2, 1: 0, 2: 0}
        assert await offsets.committed() == {}


async def ends(offsets: KafkaOffsets) -> dict[int, int]:
    return {place.partition: end for place, end in (await offsets.raw_ends()).items()}
