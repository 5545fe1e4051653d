"""The offset from which each partition is read, and the lost ranges found while reading.

When the requested offset is gone, the client silently jumps to the log start offset: records were lost.
A hole in the offsets alone proves no loss, since transaction markers and aborted records leave holes. A log
start offset beyond the read position does. The log start offset only rises, so it can be asked for after
the jump. A recreated topic is recognised by its id, which is committed with each offset.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faust.types import TP

from tally.schemas.notices import Range
from tally.schemas.starts import Start
from tally.streams.transport.runs import Committed
from tally.tables.kafka.layouts import Layout, layouts

LOOK_SECONDS = 1.0
"""Interval between two requests for topic ids. Until then a new topic's records pass for the old one's."""
ASK_SECONDS = 5.0


def start_of(topic_id: str, log_start: int, committed: Committed | None, at_ms: int) -> Start:
    """Return where to start reading a partition that was just assigned or whose topic was recreated. Pure.

    If a recreated topic has already expired records, no consumer has read them: they are lost. A committed
    offset without a topic id was set by hand, not by Tally. It does not show what was read, so the partition
    is read again from its start.
    """
    if committed is None or not committed.topic_id:
        return Start(topic_id, log_start, at_ms, is_first=True)
    if committed.topic_id != topic_id:
        return Start(topic_id, log_start, at_ms, is_first=True, lost=(0, log_start) if log_start else None)
    return Start(topic_id, committed.offset, at_ms)


def hole(at: int, first: int, log_start: int) -> Range | None:
    """Return the range of lost offsets between the read position `at` and `first`, or None. Pure."""
    to = min(first, log_start)
    return (at, to) if at < to else None


class Beginnings:
    """Tracks where the partitions of each assignment start; runs in the consumer's thread."""

    def __init__(self, now_ms: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._generation: int | None = None
        self._waiting: set[TP] = set()
        self._at: dict[TP, int] = {}
        self._ids: dict[TP, str] = {}
        self._starts: dict[TP, Start] = {}
        self._look_at_s = 0.0

    async def look(self, consumer: AIOKafkaConsumer, generation: int, ours: Iterable[TP]) -> None:
        """Start the partitions of a new assignment, and every second those whose topic was recreated.

        A request that fails is repeated later. Until it succeeds, the partition is not read.
        """
        if generation != self._generation:
            self._generation, self._waiting, self._look_at_s = generation, set(ours), 0.0
            self._at.clear()
            self._ids.clear()
            self._starts.clear()
        now_s = self._monotonic()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_SECONDS
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._begin(consumer)
        except (KafkaError, TimeoutError):
            return

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        found = await layouts(consumer._client, sorted({tp.topic for tp in (*self._waiting, *self._at)}))
        ids = {name: layout.topic_id.hex() for name, layout in found.items() if isinstance(layout, Layout)}
        renewed = {tp for tp, known in self._ids.items() if ids.get(tp.topic, known) != known}
        todo = [tp for tp in (*self._waiting, *renewed) if tp.topic in ids]
        if not todo:
            return
        committed = await _committed(consumer, [tp for tp in todo if tp in self._waiting])
        committed.update((tp, Committed(self._at[tp], self._ids[tp])) for tp in renewed)
        starts = await consumer.beginning_offsets([TopicPartition(*tp) for tp in todo])
        if consumer._coordinator.generation != self._generation:
            return  # the group has rebalanced meanwhile
        for tp in todo:
            start = start_of(ids[tp.topic], starts[TopicPartition(*tp)], committed.get(tp), self._now_ms())
            consumer.seek(TopicPartition(*tp), start.at)
            self._at[tp], self._ids[tp], self._starts[tp] = start.at, start.topic_id, start
            self._waiting.discard(tp)

    async def started(
        self, consumer: AIOKafkaConsumer, generation: int, taken: Mapping[TP, tuple[Sequence[Any], int]]
    ) -> dict[TP, Start | None]:
        """Return the partitions whose records may be handed out, each with its new start or None.

        `taken` holds the records of each partition and the position after them; `generation` is the group's
        generation in which they were taken. A partition is left out and read again if its position has jumped
        and its log start offset is unknown. All are left out if the generation changed during the fetch: the
        topic ids known here belong to the former generation, and commits would lack theirs.
        """
        if generation != self._generation:
            return {}
        firsts = {tp: records[0].offset if records else at for tp, (records, at) in taken.items()}
        jumps = {tp for tp, first in firsts.items() if tp in self._at and first > self._at[tp]}
        log_starts = await self._log_starts(consumer, jumps) if jumps else {}
        found: dict[TP, Start | None] = {}
        for tp, (_, position) in taken.items():
            at = self._at.get(tp)
            if at is None:
                continue
            if tp in jumps and tp not in log_starts:
                with suppress(IllegalStateError):  # revoked meanwhile
                    consumer.seek(TopicPartition(*tp), at)
                continue
            start = self._starts.pop(tp, None)
            if tp in jumps and (lost := hole(at, firsts[tp], log_starts[tp])):
                start = _with_lost(
                    start or Start(self._ids[tp], firsts[tp], self._now_ms()), firsts[tp], lost
                )
            found[tp] = start
            self._at[tp] = position
        return found

    async def _log_starts(self, consumer: AIOKafkaConsumer, partitions: set[TP]) -> dict[TP, int]:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                starts = await consumer.beginning_offsets([TopicPartition(*tp) for tp in partitions])
        except (KafkaError, TimeoutError):
            return {}
        return {TP(tp.topic, tp.partition): start for tp, start in starts.items()}


def _with_lost(start: Start, at: int, lost: Range) -> Start:
    """Return a start with a lost range; merge it with a range that a recreated topic lost just before."""
    if start.lost is not None and start.lost[1] == lost[0]:
        lost = (start.lost[0], lost[1])
    return Start(start.topic_id, at, start.at_ms, start.is_first, lost)


async def _committed(consumer: AIOKafkaConsumer, partitions: Sequence[TP]) -> dict[TP, Committed]:
    asked = [TopicPartition(*tp) for tp in partitions]
    answer = await consumer._coordinator.fetch_committed_offsets(asked)
    return {
        TP(tp.topic, tp.partition): Committed(meta.offset, meta.metadata or "")
        for tp, meta in answer.items()
        if meta.offset >= 0
    }
