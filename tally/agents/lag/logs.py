"""Whether the facts log and the changelogs are still those that were counted, while a process runs.

A partition's opening compares them too. But partitions that were added are new and open without a word,
and facts would go to them whose subjects stand in others.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tally.schemas.rows import Progress
from tally.schemas.topics import COUNTERS, Names
from tally.tables.store.marks import FACTS, check_identity
from tally.tables.store.recovery import Changelogs
from tally.tables.topic_layout import Layout, present_layouts

LOOK_SECONDS = 5.0
DEADLINE_SECONDS = 30.0
REQUEST_TIMEOUT_MS = 10_000

Ask = Callable[[], Awaitable[Mapping[str, Layout]]]
"""Asks the brokers for each log's layout, by the names that progress has for them."""

log = structlog.get_logger()


def log_topics(names: Names, tables: Sequence[str]) -> dict[str, str]:
    """Return the topics of the logs that progress knows, by its names for them."""
    return {FACTS: names.facts} | {table: names.changelog(table) for table in tables}


def compare(progress: Progress | None, layouts: Mapping[str, Layout], topics: Mapping[str, str]) -> None:
    """Compare the logs that progress knows with the topics that are there. Pure.

    Raises LogReplaced, PartitionsChanged.
    """
    for name, mark in (progress.logs if progress else {}).items():
        if name in layouts:
            check_identity(topics[name], mark, layouts[name])


class LogWatch:
    """Looks at the logs again and again, and compares them with the progress of every partition."""

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[tuple[Ask, Mapping[str, str]]]],
        progress: Callable[[int], Progress | None],
        partitions: int,
    ) -> None:
        self._connect = connect
        self._progress = progress
        self._partitions = partitions

    async def run(self) -> None:
        """Look until cancelled; while Kafka is away there is nothing to see. Raises as `compare` does."""
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
            layouts = await ask()
        for partition in range(self._partitions):
            compare(self._progress(partition), layouts, topics)


class TopicLogs:
    """The logs of one deployment on its brokers."""

    def __init__(self, client: Mapping[str, Any], topics: Mapping[str, str]) -> None:
        self._client = client
        self._topics = topics

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[Ask, Mapping[str, str]]]:
        """Connect for as long as layouts are asked for. Raises KafkaError."""
        admin = AIOKafkaAdminClient(**self._client, request_timeout_ms=REQUEST_TIMEOUT_MS)

        async def ask() -> Mapping[str, Layout]:
            found = await present_layouts(admin._client, list(self._topics.values()))
            return {name: found[topic] for name, topic in self._topics.items()}

        try:
            await admin.start()
            yield ask, self._topics
        finally:
            await admin.close()

    async def check_first(self) -> None:
        """Compare the logs with the first progress that any partition has, before anything is counted.

        All partitions were counted from the same topics, so that one tells for all. Raises as `compare`.
        """
        async with asyncio.timeout(DEADLINE_SECONDS), self.connect() as (ask, topics):
            layouts = await ask()
            for partition in range(layouts[COUNTERS].partitions):
                progress = await self._progress_of(partition)
                if progress is not None:
                    compare(progress, layouts, topics)
                    return

    async def store_ids(self) -> list[str]:
        """Return the store id of every partition in which anything was counted."""
        async with asyncio.timeout(DEADLINE_SECONDS), self.connect() as (ask, _):
            partitions = (await ask())[COUNTERS].partitions
            found = [await self._progress_of(partition) for partition in range(partitions)]
        return [progress.store_id for progress in found if progress is not None]

    async def _progress_of(self, partition: int) -> Progress | None:
        counters = {COUNTERS: self._topics[COUNTERS]}
        async with Changelogs(dict(self._client), counters, partition) as changelogs:
            return await changelogs.newest((await changelogs.ranges())[COUNTERS])
