"""Recovery: a local copy is brought up to the ends of its changelogs."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import TopicPartition
from msgspec import Struct

from tally.schemas.grains import RowKey
from tally.schemas.missing import decode_missing, is_missing
from tally.schemas.rows import PROGRESS_KEY, LogMark, Progress, decode_head, decode_progress
from tally.schemas.topics import COUNTERS, DELETE_RETENTION_MS
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.layouts import present_layouts
from tally.tables.kafka.read_to_end import read_up_to
from tally.tables.store.errors import ForeignRecord, Rebuilt
from tally.tables.store.local import LocalStore, Meta
from tally.tables.store.marks import FACTS

SILENT_SECONDS = 60.0
"""How long a reader waits for records to arrive; while they arrive, reading has no deadline."""
FETCH_BYTES = 4 << 20
FETCH_ALL_BYTES = 8 << 20
"""The limit of one fetch of all tables. The client's default of 50 MB is too much when many partitions open
together."""
TAIL = 2_000
"""How many offsets the first search for the newest progress record goes back. Only aborted transactions can
follow that record."""

OnProgress = Callable[[int, int], None]
"""A callback with the number of offsets read so far, and the number to read."""


class Range(Struct, frozen=True):
    """The offsets of a changelog partition: [start, end)."""

    start: int
    end: int


def unfit(meta: Meta | None, ranges: Mapping[str, Range], store_id: str | None) -> Rebuilt | None:
    """Return why a local copy of any age has to be rebuilt; None if it can be brought up to date.

    It must be a copy of this log, neither ahead of its end nor behind its start.
    """
    if meta is None or meta.store_id != store_id:
        return "other_store"
    if all(ranges[table].start <= meta.offsets.get(table, 0) <= ranges[table].end for table in ranges):
        return None
    return "out_of_range"


def lacks(meta: Meta, ranges: Mapping[str, Range]) -> bool:
    """Return whether the changelogs hold records that the copy lacks; one missing offset is only a marker."""
    return any(found.end - meta.offsets.get(table, 0) > 1 for table, found in ranges.items())


def has_slept(meta: Meta, broker_now_ms: int) -> bool:
    """Return whether compaction may have removed tombstones that a copy has not seen.

    Both times are the brokers', so a wrong clock of this machine cannot make an old copy look young.
    """
    return abs(broker_now_ms - meta.touched_ms) > DELETE_RETENTION_MS // 2


class Changelogs:
    """A reader of the committed records of one partition's changelogs."""

    def __init__(self, kafka: KafkaClients, topics: Mapping[str, str], partition: int) -> None:
        self._kafka = kafka
        self._topics = topics
        self._tables = {TopicPartition(topic, partition): table for table, topic in topics.items()}
        self._partition = partition

    async def __aenter__(self) -> "Changelogs":
        self._consumer = self._kafka.reader(
            "none",
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
        """Return the offsets of each table's changelog."""
        return {self._tables[tp]: found for tp, found in (await self.bounds(*self._tables)).items()}

    async def bounds(self, *partitions: TopicPartition) -> dict[TopicPartition, Range]:
        """Return the first and the next offset of any partitions."""
        starts = await self._consumer.beginning_offsets(list(partitions))
        ends = await self._consumer.end_offsets(list(partitions))
        return {tp: Range(starts[tp], ends[tp]) for tp in partitions}

    async def marks(self, facts: str, ranges: Mapping[str, Range]) -> dict[str, LogMark]:
        """Return the brokers' marks of this partition's changelogs and of the facts log."""
        names = {**self._topics, FACTS: facts}
        found = await present_layouts(self._consumer._client, list(names.values()))
        marks = {}
        for log, name in names.items():
            layout, place = found[name], ranges.get(log, Range(0, 0))
            marks[log] = LogMark(layout.topic_id, layout.partitions, place.start, place.end)
        return marks

    async def newest(self, counters: Range) -> Progress | None:
        """Return the newest progress record; None if the changelog holds none. Raises ForeignRecord."""
        (tp,) = (tp for tp, table in self._tables.items() if table == COUNTERS)
        found: Progress | None = None

        def look(records: list[Any]) -> None:
            nonlocal found
            for record in records:
                if record.key == PROGRESS_KEY:
                    found = progress_of(record)

        end, tail = counters.end, TAIL
        while found is None and end > counters.start:
            start = max(counters.start, counters.end - tail)
            await self._read({tp: start}, {tp: end}, look)
            end, tail = start, tail * 4
        return found

    async def replay(
        self,
        local: LocalStore,
        ranges: Mapping[str, Range],
        store_id: str,
        on_progress: OnProgress = lambda *_: None,
    ) -> int:
        """Apply the records that the local copy lacks; return their number. Raises ForeignRecord."""
        offsets = dict(local.meta.offsets) if local.meta else {}
        touched_ms = local.meta.touched_ms if local.meta else 0
        starts = {table: max(offsets.get(table, 0), found.start) for table, found in ranges.items()}
        count = 0

        def apply(records: list[Any]) -> None:
            nonlocal count, touched_ms
            first = records[0]
            table = self._tables[TopicPartition(first.topic, first.partition)]
            offsets[table] = records[-1].offset + 1
            touched_ms = max(touched_ms, records[-1].timestamp)
            entries = {record.key: record.value for record in records}
            _check_ours(table, entries, records)
            local.write({table: entries}, Meta(store_id, dict(offsets), touched_ms))
            count += len(records)

        by_table = {table: tp for tp, table in self._tables.items()}
        await self._read(
            {by_table[table]: start for table, start in starts.items()},
            {by_table[table]: found.end for table, found in ranges.items()},
            apply,
            on_progress,
        )
        # The last offsets are markers, which are never delivered: move the copy behind them.
        local.write({}, Meta(store_id, {table: found.end for table, found in ranges.items()}, touched_ms))
        return count

    async def _read(
        self,
        starts: dict[TopicPartition, int],
        ends: dict[TopicPartition, int],
        take: Callable[[list[Any]], None],
        on_progress: OnProgress = lambda *_: None,
    ) -> None:
        """Read from starts to ends, and report progress. Raises TimeoutError if nothing arrives."""
        for tp, start in starts.items():
            self._consumer.seek(tp, start)
        whole = sum(max(0, ends[tp] - start) for tp, start in starts.items())
        async for arrived in read_up_to(self._consumer, ends, SILENT_SECONDS):
            for records in arrived.values():
                take(records)
                await asyncio.sleep(0)
            left = [max(0, end - await self._consumer.position(tp)) for tp, end in ends.items()]
            on_progress(whole - sum(left), whole)


def progress_of(record: Any) -> Progress:
    """Decode a progress record. Raises ForeignRecord."""
    try:
        return decode_progress(record.value)
    except (TypeError, ValueError) as error:
        what = f"no progress record: {type(error).__name__}"
        raise ForeignRecord(record.topic, record.partition, record.offset, what) from None


def _check_ours(table: str, entries: Mapping[bytes | None, bytes | None], records: list[Any]) -> None:
    """Raise ForeignRecord if a record has no key, or is one that the counters changelog never holds."""
    if table == COUNTERS:
        for record in records:
            check_counters(record)
    elif None in entries:
        check_keyed(next(record for record in records if record.key is None))


def check_keyed(record: Any) -> None:
    """Raise ForeignRecord if a changelog's record has no key."""
    if record.key is None:
        raise ForeignRecord(record.topic, record.partition, record.offset, "without a key")


def check_counters(record: Any) -> None:
    """Raise ForeignRecord unless a counters record is a row, progress, or an entry of what is missing."""
    check_keyed(record)
    if record.key == PROGRESS_KEY:
        progress_of(record)
        return
    try:
        if is_missing(record.key):
            decode_missing(record.key, record.value)
            return
        RowKey.decode(record.key)
        if record.value is not None:
            decode_head(record.value)
    except (TypeError, ValueError) as error:
        what = f"no row: {type(error).__name__}"
        raise ForeignRecord(record.topic, record.partition, record.offset, what) from None
