"""Recovery: a local copy is brought up to the ends of its changelogs."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import TopicPartition
from msgspec import Struct

from tally.schemas.grains import RowKey
from tally.schemas.missing import decode_missing, is_missing
from tally.schemas.rows import PROGRESS_KEY, LogMark, Progress, decode_head, decode_progress
from tally.schemas.tables import table_of
from tally.schemas.topics import CHANGELOGS, COUNTERS, DELETE_RETENTION_MS, STATES, Changelog
from tally.schemas.waiting import decode_caller, decode_since, is_waiting
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
"""The limit of one fetch of both changelogs. The client's default of 50 MB is too much when many partitions
open together."""
TAIL = 2_000
"""How many offsets the first search for the newest progress record goes back. Only aborted transactions can
follow that record."""

OnProgress = Callable[[int, int], None]
"""A callback with the number of offsets read so far, and the number to read."""


class Range(Struct, frozen=True):
    """The offsets of a changelog partition: [start, end)."""

    start: int
    end: int


def unfit(meta: Meta | None, ranges: Mapping[Changelog, Range], store_id: str | None) -> Rebuilt | None:
    """Return why a local copy of any age has to be rebuilt; None if it can be brought up to date.

    It must be a copy of these logs, neither ahead of their ends nor behind their starts.
    """
    if meta is None or meta.store_id != store_id:
        return "other_store"
    if all(found.start <= meta.offsets.get(log, 0) <= found.end for log, found in ranges.items()):
        return None
    return "out_of_range"


def lacks(meta: Meta, ranges: Mapping[Changelog, Range]) -> bool:
    """Return whether the changelogs hold records that the copy lacks; one missing offset is only a marker."""
    return any(found.end - meta.offsets.get(log, 0) > 1 for log, found in ranges.items())


def has_slept(meta: Meta, broker_now_ms: int) -> bool:
    """Return whether compaction may have removed tombstones that a copy has not seen.

    Both times are the brokers', so a wrong clock of this machine cannot make an old copy look young.
    """
    return abs(broker_now_ms - meta.touched_ms) > DELETE_RETENTION_MS // 2


def last_whole(newest: Mapping[Changelog, Progress]) -> Progress | None:
    """Return the progress of the newest transaction that stands in both changelogs; None if there is none.

    Where nobody is fenced, a transaction may show in one of them a little before the other.
    """
    return min(newest.values(), key=lambda one: one.seq) if len(newest) == len(CHANGELOGS) else None


class Changelogs:
    """A reader of the committed records of one partition's changelogs, or of one of them."""

    def __init__(self, kafka: KafkaClients, topics: Mapping[Changelog, str], partition: int) -> None:
        self._kafka = kafka
        self._topics = topics
        self._places = {log: TopicPartition(topic, partition) for log, topic in topics.items()}
        self._logs = {place: log for log, place in self._places.items()}

    async def __aenter__(self) -> "Changelogs":
        self._consumer = self._kafka.reader(
            "none",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_ALL_BYTES,
            fetch_max_wait_ms=50,
        )
        await self._consumer.start()
        self._consumer.assign(list(self._logs))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def ranges(self) -> dict[Changelog, Range]:
        """Return the offsets of each changelog."""
        return {self._logs[tp]: found for tp, found in (await self.bounds(*self._logs)).items()}

    async def bounds(self, *partitions: TopicPartition) -> dict[TopicPartition, Range]:
        """Return the first and the next offset of any partitions."""
        starts = await self._consumer.beginning_offsets(list(partitions))
        ends = await self._consumer.end_offsets(list(partitions))
        return {tp: Range(starts[tp], ends[tp]) for tp in partitions}

    async def marks(self, facts: str, ranges: Mapping[Changelog, Range]) -> dict[str, LogMark]:
        """Return the brokers' marks of this partition's changelogs and of the facts log."""
        found = await present_layouts(self._consumer._client, [facts, *self._topics.values()])
        marks = {FACTS: LogMark(found[facts].topic_id, found[facts].partitions, 0, 0)}
        for log, topic in self._topics.items():
            layout, place = found[topic], ranges[log]
            marks[log] = LogMark(layout.topic_id, layout.partitions, place.start, place.end)
        return marks

    async def newest(self, ranges: Mapping[Changelog, Range]) -> dict[Changelog, Progress]:
        """Return the newest progress record of each changelog that holds one. Raises ForeignRecord."""
        found: dict[Changelog, Progress] = {}

        def look(records: list[Any]) -> None:
            for record in records:
                if record.key == PROGRESS_KEY:
                    found[self._log_of(record)] = progress_of(record)

        ends, tail = {log: place.end for log, place in ranges.items()}, TAIL
        while unread := [log for log, end in ends.items() if log not in found and end > ranges[log].start]:
            starts = {log: max(ranges[log].start, ranges[log].end - tail) for log in unread}
            await self._read(starts, {log: ends[log] for log in unread}, look)
            ends.update(starts)
            tail *= 4
        return found

    async def replay(
        self,
        local: LocalStore,
        ranges: Mapping[Changelog, Range],
        store_id: str,
        on_progress: OnProgress = lambda *_: None,
    ) -> int:
        """Apply the records of ranges that the copy lacks; return their number. Raises ForeignRecord."""
        offsets = dict(local.meta.offsets) if local.meta else {}
        touched_ms = local.meta.touched_ms if local.meta else 0
        starts = {log: max(offsets.get(log, 0), found.start) for log, found in ranges.items()}
        ends = {log: found.end for log, found in ranges.items()}
        count = 0

        def apply(records: list[Any]) -> None:
            nonlocal count, touched_ms
            log = self._log_of(records[0])
            if records[-1].offset >= ends[log]:
                records = [record for record in records if record.offset < ends[log]]
                if not records:
                    return
            check = _CHECKS[log]
            for record in records:
                check(record)
            offsets[log] = records[-1].offset + 1
            touched_ms = max(touched_ms, records[-1].timestamp)
            entries = {record.key: record.value for record in records}
            local.apply({log: entries}, Meta(store_id, dict(offsets), touched_ms))
            count += len(records)

        await self._read(starts, ends, apply, on_progress)
        # The last offsets are markers, which are never delivered: move the copy behind them.
        local.apply({}, Meta(store_id, dict(ends), touched_ms))
        return count

    async def _read(
        self,
        starts: Mapping[Changelog, int],
        ends: Mapping[Changelog, int],
        take: Callable[[list[Any]], None],
        on_progress: OnProgress = lambda *_: None,
    ) -> None:
        """Read from starts to ends, and report progress. Raises TimeoutError if nothing arrives."""
        for log, start in starts.items():
            self._consumer.seek(self._places[log], start)
        reached = {self._places[log]: end for log, end in ends.items()}
        whole = sum(max(0, ends[log] - start) for log, start in starts.items())
        async for arrived in read_up_to(self._consumer, reached, SILENT_SECONDS):
            for records in arrived.values():
                take(records)
                await asyncio.sleep(0)
            left = [max(0, end - await self._consumer.position(tp)) for tp, end in reached.items()]
            on_progress(whole - sum(left), whole)

    def _log_of(self, record: Any) -> Changelog:
        return self._logs[TopicPartition(record.topic, record.partition)]


def progress_of(record: Any) -> Progress:
    """Decode a progress record. Raises ForeignRecord."""
    try:
        return decode_progress(record.value)
    except (TypeError, ValueError) as error:
        what = f"no progress record: {type(error).__name__}"
        raise ForeignRecord(record.topic, record.partition, record.offset, what) from None


def check_keyed(record: Any) -> None:
    """Raise ForeignRecord if a changelog's record has no key."""
    if record.key is None:
        raise ForeignRecord(record.topic, record.partition, record.offset, "without a key")


def check_states(record: Any) -> None:
    """Raise ForeignRecord unless a record of states is progress, or under the byte of a table."""
    check_keyed(record)
    if table_of(record.key) is None:
        if record.key != PROGRESS_KEY:
            what = "its key begins with no table's byte"
            raise ForeignRecord(record.topic, record.partition, record.offset, what)
        progress_of(record)


def check_counters(record: Any) -> None:
    """Raise ForeignRecord unless a counters record is a row, progress, a caller, or of what is missing."""
    check_keyed(record)
    if record.key == PROGRESS_KEY:
        progress_of(record)
        return
    try:
        if is_missing(record.key):
            decode_missing(record.key, record.value)
            return
        if is_waiting(record.key):
            decode_caller(record.key)
            if record.value is not None:
                decode_since(record.value)
            return
        RowKey.decode(record.key)
        if record.value is not None:
            decode_head(record.value)
    except (TypeError, ValueError) as error:
        what = f"no row: {type(error).__name__}"
        raise ForeignRecord(record.topic, record.partition, record.offset, what) from None


_CHECKS: Mapping[Changelog, Callable[[Any], None]] = {STATES: check_states, COUNTERS: check_counters}
