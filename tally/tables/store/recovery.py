"""Bringing a local copy up to the end of its changelogs."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from tally.schemas.rows import PROGRESS_KEY, decode_progress
from tally.schemas.topics import COUNTERS, DELETE_RETENTION_MS
from tally.tables.store.local import LocalStore, Meta

POLL_MS = 200
FETCH_BYTES = 4 << 20
FETCH_ALL_BYTES = 8 << 20
"""Of all tables in one answer: many partitions may open together, and the client's own 50 MB are for each."""
TAIL = 2_000
"""How far back the newest progress record is looked for at first; behind it lie only aborted transactions."""


class Range(Struct, frozen=True):
    """Where a changelog partition begins and ends: [start, end)."""

    start: int
    end: int


def is_usable(meta: Meta | None, ranges: dict[str, Range], store_id: str | None, now_ms: int) -> bool:
    """Return whether a local copy can be brought up to date, rather than be rebuilt.

    It must be a copy of this very log, neither ahead of it nor behind its start, and must not have slept
    so long that tombstones it never saw may be gone.
    """
    if meta is None or meta.store_id != store_id:
        return False
    if not 0 <= now_ms - meta.touched_ms <= DELETE_RETENTION_MS // 2:
        return False
    return all(ranges[table].start <= meta.offsets.get(table, 0) <= ranges[table].end for table in ranges)


class Changelogs:
    """A reader of one partition's changelogs: committed records only."""

    def __init__(self, kafka: dict[str, Any], topics: dict[str, str], partition: int) -> None:
        self._kafka = kafka
        self._tables = {TopicPartition(topic, partition): table for table, topic in topics.items()}

    async def __aenter__(self) -> "Changelogs":
        self._consumer = AIOKafkaConsumer(
            **self._kafka,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_ALL_BYTES,
            fetch_max_wait_ms=50,
        )
        await self._consumer.start()
        self._consumer.assign(list(self._tables))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def ranges(self) -> dict[str, Range]:
        """Return by table where its changelog begins and ends."""
        return {self._tables[tp]: found for tp, found in (await self.bounds(*self._tables)).items()}

    async def bounds(self, *partitions: TopicPartition) -> dict[TopicPartition, Range]:
        """Return where any partitions begin and end."""
        starts = await self._consumer.beginning_offsets(list(partitions))
        ends = await self._consumer.end_offsets(list(partitions))
        return {tp: Range(starts[tp], ends[tp]) for tp in partitions}

    async def store_id(self, counters: Range) -> str | None:
        """Return the id in the newest progress record; None where the changelog holds none."""
        (tp,) = (tp for tp, table in self._tables.items() if table == COUNTERS)
        found = None

        def look(records: list[Any]) -> None:
            nonlocal found
            for record in records:
                if record.key == PROGRESS_KEY:
                    found = decode_progress(record.value).store_id

        end, tail = counters.end, TAIL
        while found is None and end > counters.start:
            start = max(counters.start, counters.end - tail)
            await self._read({tp: start}, {tp: end}, look)
            end, tail = start, tail * 4
        return found

    async def replay(
        self, local: LocalStore, ranges: dict[str, Range], store_id: str, now_ms: Callable[[], int]
    ) -> int:
        """Apply what the local copy lacks; return the number of records."""
        offsets = dict(local.meta.offsets) if local.meta else {}
        starts = {table: max(offsets.get(table, 0), found.start) for table, found in ranges.items()}
        count = 0

        def apply(records: list[Any]) -> None:
            nonlocal count
            first = records[0]
            table = self._tables[TopicPartition(first.topic, first.partition)]
            offsets[table] = records[-1].offset + 1
            entries = {record.key: record.value for record in records}
            local.write({table: entries}, Meta(store_id, dict(offsets), now_ms()))
            count += len(records)

        by_table = {table: tp for tp, table in self._tables.items()}
        await self._read(
            {by_table[table]: start for table, start in starts.items()},
            {by_table[table]: found.end for table, found in ranges.items()},
            apply,
        )
        # The last offsets are markers that no record carries: the copy stands behind them all the same.
        local.write({}, Meta(store_id, {table: found.end for table, found in ranges.items()}, now_ms()))
        return count

    async def _read(
        self,
        starts: dict[TopicPartition, int],
        ends: dict[TopicPartition, int],
        take: Callable[[list[Any]], None],
    ) -> None:
        """Read up to the ends by *position*: the last offset is a marker that is never delivered."""
        for tp, start in starts.items():
            self._consumer.seek(tp, start)
        todo = {tp for tp, start in starts.items() if start < ends[tp]}
        while todo:
            for records in (await self._consumer.getmany(*todo, timeout_ms=POLL_MS)).values():
                take(records)
                await asyncio.sleep(0)
            todo = {tp for tp in todo if await self._consumer.position(tp) < ends[tp]}
