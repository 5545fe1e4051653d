"""The view's loop: reads the counters changelog of all partitions and feeds the memory view."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, UnknownTopicOrPartitionError

from tally.agents.clock import Backoff
from tally.agents.view.model import View
from tally.schemas.rows import PROGRESS_KEY
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.read_to_end import short_of
from tally.tables.store.errors import ForeignRecord, LogShrank

log = structlog.get_logger()

BATCH_RECORDS = 100
"""Applying a batch takes a millisecond or two; answers wait no longer for it."""

FETCH_WAIT_MS = 100
"""How long the broker holds an idle fetch; a committed record ends the wait at once."""

FETCH_BYTES = 1 << 20
FETCH_ALL_BYTES = 2 << 20
"""Bytes of one fetch response over all partitions; the client holds it in memory twice while it decodes."""
POLL_SECONDS = 0.2
LINGER_SECONDS = 0.005
"""How long the view lingers between two polls: a poll costs more than applying a hundred records."""
DEADLINE_SECONDS = 30.0
RETRY_SECONDS = (0.2, 5.0)
"""The shortest and the longest pause before Kafka is tried again."""


class ChangelogConsumer(Protocol):
    """The part of AIOKafkaConsumer that the loop uses."""

    async def start(self) -> None: ...  # noqa: D102 - aiokafka's own
    async def stop(self) -> None: ...  # noqa: D102
    async def topics(self) -> set[str]: ...  # noqa: D102
    def assign(self, partitions: list[TopicPartition]) -> None: ...  # noqa: D102
    def seek(self, partition: TopicPartition, offset: int) -> None: ...  # noqa: D102
    async def position(self, partition: TopicPartition) -> int: ...  # noqa: D102
    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...  # noqa: D102
    async def beginning_offsets(  # noqa: D102
        self, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, int]: ...
    async def getmany(  # noqa: D102
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]: ...


def changelog_consumer(kafka: KafkaClients) -> ChangelogConsumer:
    """Return a consumer with the settings that the loop needs."""
    consumer: ChangelogConsumer = kafka.reader(
        # Missing offsets mean that the changelog is not the one read so far: fail, do not reset.
        "none",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=FETCH_ALL_BYTES,
    )
    return consumer


class ViewLoop:
    """Keeps a view at the end of the counters changelog.

    `consumer` makes a new client for each attempt to start. `unix_ms` returns the wall-clock time. `random`,
    from 0 to 1, spreads the pauses between attempts. `visible` is called with the seconds from Kafka's
    timestamp of a raw event to its visibility here, only for ready partitions: during catch-up they measure
    the age of the changelog, not speed.
    """

    def __init__(
        self,
        view: View,
        topic: str,
        consumer: Callable[[], ChangelogConsumer],
        unix_ms: Callable[[], float],
        visible: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        self._view = view
        self._topic = topic
        self._places = [TopicPartition(topic, partition) for partition in range(view.partitions)]
        self._consumer = consumer
        self._unix_ms = unix_ms
        self._visible = visible
        self._random = random
        self._ends: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Read until cancelled; while Kafka is unavailable the view keeps its rows, and lag grows.

        Raises ChangelogReplaced, ForeignRecord, and LogShrank where offsets still to be read were deleted.
        """
        consumer = await self._started()
        try:
            while True:
                await self._apply_batch(consumer)
        finally:
            await consumer.stop()

    async def _started(self) -> ChangelogConsumer:
        backoff = Backoff(*RETRY_SECONDS)
        while True:
            consumer = self._consumer()
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await self._start(consumer)
                return consumer
            except (KafkaError, TimeoutError, OSError) as error:
                pause_s = backoff.failed(self._random())
                log.warning("cannot read the counters yet", error=repr(error), retry_in_s=round(pause_s, 1))
                await consumer.stop()
            except BaseException:
                await consumer.stop()
                raise
            await asyncio.sleep(pause_s)

    async def _start(self, consumer: ChangelogConsumer) -> None:
        """Seek to the beginning of every partition, and remember where each ends."""
        await consumer.start()
        if self._topic not in await consumer.topics():
            # A metadata request by name may make the broker create it: not compacted, with one partition.
            raise UnknownTopicOrPartitionError(self._topic)
        consumer.assign(self._places)
        begins = await consumer.beginning_offsets(self._places)
        self._ends = await consumer.end_offsets(self._places)
        for tp, begin in begins.items():
            consumer.seek(tp, begin)
        await self._note_ready(consumer)

    async def _apply_batch(self, consumer: ChangelogConsumer) -> None:
        try:
            batch = await consumer.getmany(timeout_ms=round(POLL_SECONDS * 1000), max_records=BATCH_RECORDS)
        except OffsetOutOfRangeError as error:
            raise LogShrank(self._topic, "offsets that were to be read next are gone") from error
        for tp, records in batch.items():
            for record in records:
                self._apply(tp, record)
                if record.key == PROGRESS_KEY and self._view.is_ready(tp.partition):
                    self._note_visible(tp.partition)
        if self._ends:
            await self._note_ready(consumer)
        # getmany returns records that are already fetched without yielding: let other tasks run.
        has_more = sum(map(len, batch.values())) >= BATCH_RECORDS
        await asyncio.sleep(0 if has_more else LINGER_SECONDS)

    def _apply(self, tp: TopicPartition, record: Any) -> None:
        try:
            self._view.apply(tp.partition, record.key, record.value)
        except (TypeError, ValueError, AttributeError) as error:
            what = f"neither a row nor progress: {type(error).__name__}"
            raise ForeignRecord(tp.topic, tp.partition, record.offset, what) from error

    async def _note_ready(self, consumer: ChangelogConsumer) -> None:
        """Mark the partitions that are read to the end offsets of the start."""
        for tp in self._ends.keys() - await short_of(consumer, self._ends):
            self._view.set_ready(tp.partition)
            del self._ends[tp]

    def _note_visible(self, partition: int) -> None:
        progress = self._view.progress(partition)
        if progress is not None and progress.raw_at_ms > 0:
            self._visible(max(0.0, self._unix_ms() - progress.raw_at_ms) / 1000)
