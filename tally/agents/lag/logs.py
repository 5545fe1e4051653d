"""Checks, while a process runs, that the facts log and the changelogs are still those that were counted.

The opening of a partition makes the same comparison, but does not suffice. Added partitions open without an
error, and would receive facts of subjects that other partitions hold. A view opens no partition.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from msgspec import Struct

from tally.schemas.rows import Progress
from tally.schemas.topics import COUNTERS
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.layouts import Layout, layouts
from tally.tables.store.errors import LogGone
from tally.tables.store.marks import FACTS, check_identity, check_start
from tally.tables.store.recovery import Changelogs

LOOK_SECONDS = 5.0
DEADLINE_SECONDS = 30.0
REQUEST_TIMEOUT_MS = 10_000
GONE_LOOKS = 6
"""A log is gone if it is absent in so many looks in a row: a broker that just started may not know it yet."""


class Found(Struct, frozen=True):
    """Metadata of the logs from the brokers, keyed by the names that progress has for them."""

    layouts: Mapping[str, Layout]
    """Layouts of the logs that exist."""
    starts: Mapping[tuple[str, int], int]
    """Start offset of each changelog partition. The facts log is left out: retention moves its start."""


Ask = Callable[[], Awaitable[Found]]

log = structlog.get_logger()


def compare(progress: Progress, partition: int, found: Found, topics: Mapping[str, str]) -> None:
    """Compare the logs that the progress of a partition names with those that exist. Pure.

    Raises LogReplaced, PartitionsChanged, LogShrank.
    """
    for name, mark in progress.logs.items():
        if name in found.layouts:
            check_identity(topics[name], mark, found.layouts[name])
        if (name, partition) in found.starts:
            check_start(topics[name], mark, found.starts[name, partition])


class LogWatch:
    """Polls the logs, and compares them with the progress of every partition."""

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[tuple[Ask, Mapping[str, str]]]],
        progress: Callable[[], Awaitable[Mapping[int, Progress]]],
    ) -> None:
        self._connect = connect
        self._progress = progress
        self._absent: Counter[str] = Counter()

    async def run(self) -> None:
        """Poll until cancelled; while Kafka is unavailable nothing is compared.

        Raises as `compare` does, and LogGone.
        """
        while True:
            try:
                async with self._connect() as (ask, topics):
                    while True:
                        await self._look(ask, topics)
                        await asyncio.sleep(LOOK_SECONDS)
            except (KafkaError, TimeoutError, OSError) as error:
                log.info("cannot look at the logs", error=repr(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, ask: Ask, topics: Mapping[str, str]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            found = await ask()
            known = await self._progress()
        self._absent = Counter({name: self._absent[name] + 1 for name in topics if name not in found.layouts})
        for partition, progress in known.items():
            compare(progress, partition, found, topics)
            for name, looks in self._absent.items():
                if name in progress.logs and looks >= GONE_LOOKS:
                    raise LogGone(topics[name])


class TopicLogs:
    """The logs of one deployment on its brokers."""

    def __init__(self, kafka: KafkaClients, topics: Mapping[str, str]) -> None:
        self._kafka = kafka
        self._topics = topics
        self._first: dict[int, Progress] = {}

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[Ask, Mapping[str, str]]]:
        """Connect for the time of the context. Raises KafkaError."""
        consumer = self._kafka.offsets_reader(request_timeout_ms=REQUEST_TIMEOUT_MS)

        async def ask() -> Found:
            found = await self._layouts(consumer)
            return Found(found, await self._starts(consumer, found))

        try:
            await consumer.start()
            yield ask, self._topics
        finally:
            await consumer.stop()

    async def _layouts(self, consumer: AIOKafkaConsumer) -> dict[str, Layout]:
        by_topic = await layouts(consumer._client, list(self._topics.values()))
        found: dict[str, Layout] = {}
        for name, topic in self._topics.items():
            there = by_topic.get(topic) or UnknownTopicOrPartitionError(topic)
            if isinstance(there, Layout):
                found[name] = there
            elif not isinstance(there, UnknownTopicOrPartitionError):
                raise there
        return found

    async def _starts(
        self, consumer: AIOKafkaConsumer, found: Mapping[str, Layout]
    ) -> dict[tuple[str, int], int]:
        tps = {
            TopicPartition(self._topics[name], partition): (name, partition)
            for name, layout in found.items()
            if name != FACTS
            for partition in range(layout.partitions)
        }
        starts = await consumer.beginning_offsets(list(tps))
        return {tps[raw]: start for raw, start in starts.items()}

    async def check_first(self) -> None:
        """Compare the logs with the first progress that a partition has, before anything is counted.

        Raises as `compare`.
        """
        async with asyncio.timeout(DEADLINE_SECONDS), self.connect() as (ask, topics):
            found = await ask()
            for partition, progress in (await self._first_progress(found)).items():
                compare(progress, partition, found, topics)

    async def first_progress(self) -> Mapping[int, Progress]:
        """Return the progress of the first partition that has any, as the first call read it.

        One partition stands for all: all were counted from the same topics. Raises KafkaError.
        """
        if not self._first:
            async with self.connect() as (ask, _):
                await self._first_progress(await ask())
        return self._first

    async def _first_progress(self, found: Found) -> Mapping[int, Progress]:
        for partition in range(self._partitions_of(found)):
            if self._first:
                break
            if (progress := await self._progress_of(partition)) is not None:
                self._first = {partition: progress}
        return self._first

    async def store_ids(self) -> list[str]:
        """Return the store ids of the partitions that have counted anything."""
        async with asyncio.timeout(DEADLINE_SECONDS), self.connect() as (ask, _):
            partitions = self._partitions_of(await ask())
            found = [await self._progress_of(partition) for partition in range(partitions)]
        return [progress.store_id for progress in found if progress is not None]

    def _partitions_of(self, found: Found) -> int:
        if COUNTERS not in found.layouts:
            raise UnknownTopicOrPartitionError(self._topics[COUNTERS])
        return found.layouts[COUNTERS].partitions

    async def _progress_of(self, partition: int) -> Progress | None:
        # Of counters alone: a view may read no more.
        async with Changelogs(self._kafka, {COUNTERS: self._topics[COUNTERS]}, partition) as changelogs:
            return (await changelogs.newest(await changelogs.ranges())).get(COUNTERS)
