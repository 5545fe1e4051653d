"""The view's loop feeds the view, knows when it is ready, and survives a late Kafka."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from tally.agents.view import loop as view_loop
from tally.agents.view.loop import ViewLoop
from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.schemas.rows import PROGRESS_KEY, Row, encode
from tally.tables.store.errors import ForeignRecord, LogShrank
from tests.support.view_rows import PROMO, progress

TOPIC = "counters"
NOW_MS = 1_795_350_876_000
ROW_KEY = RowKey("t1", "c1", PROMO).encode()


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    offset: int = 0


def row(next_offset: int) -> Record:
    return Record(ROW_KEY, encode(Row(next_offset, 1, 2, [], {"contacts": next_offset})))


class ScriptedConsumer:
    """Hands out batches; positions run two ahead of records, as behind a transaction's marker."""

    def __init__(self, batches: list[dict[int, list[Record]]], ends: dict[int, int]) -> None:
        self.batches = iter(batches)
        self.ends = ends
        self.positions = dict.fromkeys(ends, 0)
        self.stopped = False
        self.existing = {TOPIC}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.stopped = True

    async def topics(self) -> set[str]:
        return self.existing

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert partitions == [TopicPartition(TOPIC, p) for p in self.ends]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition.partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition.partition]

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self.ends[place.partition] for place in partitions}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        assert max_records == view_loop.BATCH_RECORDS
        batch = next(self.batches, None)
        if batch is None:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        for partition, records in batch.items():
            self.positions[partition] += len(records) + 1
        return {TopicPartition(TOPIC, partition): list(records) for partition, records in batch.items()}


class AwayConsumer(ScriptedConsumer):
    """Cannot reach Kafka."""

    async def start(self) -> None:
        raise KafkaConnectionError("away")


class CutConsumer(ScriptedConsumer):
    """Stands at an offset that the changelog no longer has."""

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        assert (timeout_ms, max_records) > (0, 0)
        raise OffsetOutOfRangeError({TopicPartition(TOPIC, 0): 7})


def loop_over(view: View, *consumers: ScriptedConsumer) -> tuple[ViewLoop, list[float]]:
    following: Iterator[ScriptedConsumer] = iter(consumers)
    visible: list[float] = []
    loop = ViewLoop(view, TOPIC, lambda: next(following), lambda: NOW_MS, visible.append, lambda: 0.0)
    return loop, visible


async def run_briefly(loop: ViewLoop) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await loop.run()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_loop, "RETRY_SECONDS", (0.001, 0.01))
    monkeypatch.setattr(view_loop, "POLL_SECONDS", 0.01)


@pytest.mark.asyncio
async def test_a_partition_is_ready_by_position_though_its_last_offset_is_never_delivered() -> None:
    view = View(2)
    consumer = ScriptedConsumer(
        [{0: [row(1), Record(PROGRESS_KEY, progress(1))]}, {1: [row(1)]}], ends={0: 3, 1: 9}
    )
    loop, _ = loop_over(view, consumer)
    await run_briefly(loop)
    assert view.is_ready(0)
    assert not view.is_ready(1)
    assert view.next_offset(0) == 1
    assert consumer.stopped


@pytest.mark.asyncio
async def test_empty_partitions_are_ready_at_once() -> None:
    view = View(2)
    loop, _ = loop_over(view, ScriptedConsumer([], ends={0: 0, 1: 0}))
    await run_briefly(loop)
    assert view.ready_partitions == 2


@pytest.mark.asyncio
async def test_visibility_is_timed_once_the_partition_is_ready_and_where_there_was_a_raw_event() -> None:
    view = View(1)
    batches = [
        {0: [Record(PROGRESS_KEY, progress(1, raw_at_ms=NOW_MS - 90_000))]},
        {0: [Record(PROGRESS_KEY, progress(2, raw_at_ms=NOW_MS - 250)), Record(PROGRESS_KEY, progress(3))]},
        {0: [row(4), Record(PROGRESS_KEY, progress(4, raw_at_ms=NOW_MS + 40))]},
    ]
    loop, visible = loop_over(view, ScriptedConsumer(batches, ends={0: 2}))
    await run_briefly(loop)
    assert visible == [0.25, 0.0]


@pytest.mark.asyncio
async def test_kafka_or_the_topic_may_not_be_there_yet() -> None:
    view = View(1)
    away, missing = AwayConsumer([], {0: 0}), ScriptedConsumer([], {0: 0})
    missing.existing = set()
    there = ScriptedConsumer([{0: [Record(PROGRESS_KEY, progress(5))]}], ends={0: 2})
    loop, _ = loop_over(view, away, missing, there)
    await run_briefly(loop)
    assert away.stopped
    assert missing.stopped
    assert view.next_offset(0) == 5


@pytest.mark.asyncio
async def test_a_changelog_that_was_cut_under_the_reader_ends_the_loop() -> None:
    consumer = CutConsumer([], {0: 0})
    loop, _ = loop_over(View(1), consumer)
    with pytest.raises(LogShrank, match=f"{TOPIC} has lost records"):
        await loop.run()
    assert consumer.stopped


@pytest.mark.asyncio
async def test_other_tasks_run_between_two_batches() -> None:
    turns: list[int] = []

    class Full(ScriptedConsumer):
        async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
            assert timeout_ms > 0
            turns.append(0)
            return {TopicPartition(TOPIC, 0): [row(1)] * min(max_records, 10)}

    async def bystander() -> None:
        for _ in range(20):
            turns.append(1)
            await asyncio.sleep(0)

    loop, _ = loop_over(View(1), Full([], {0: 0}))
    task = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        await bystander()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert turns.count(0) <= 25


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"foreign", b"x"),
        (None, b"x"),
        (ROW_KEY, b"x"),
        (b"\xff/c1", encode(Row(1, 1, 2, [], {}))),
        (PROGRESS_KEY, b"x"),
    ],
)
async def test_a_record_of_others_ends_the_view_with_an_error_that_names_its_place(
    key: bytes | None, value: bytes
) -> None:
    consumer = ScriptedConsumer([{0: [row(1), Record(key, value, offset=41)]}], {0: 9})
    loop = ViewLoop(View(1), TOPIC, lambda: consumer, lambda: NOW_MS, lambda _: None, lambda: 0.5)

    with pytest.raises(ForeignRecord, match=r"counters\[0\] holds a record at offset 41 that is not Tally's"):
        async with asyncio.timeout(20):
            await loop.run()
