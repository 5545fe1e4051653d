"""The bookkeeping of one partition: runs of records, and which offset may be committed. No I/O."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate, islice
from typing import Any, NamedTuple

from tally.schemas.starts import Start
from tally.streams.transport.config import RunLimits
from tally.tables.kafka.fetched_batches import RECORD_BYTES


class Committed(NamedTuple):
    """A group's committed offset of one partition, with the topic's id (empty if unknown)."""

    offset: int
    topic_id: str


class Run:
    """Consecutive records of one partition; holes in their offsets hold no readable records.

    A run without records announces where the next ones start.
    """

    __slots__ = ("_owner", "is_done", "next_offset", "partition", "records", "size_bytes", "start", "topic")

    def __init__(
        self, records: Sequence[Any], owner: "PartitionRuns", size_bytes: int, start: Start | None = None
    ) -> None:
        self.topic = owner.topic
        self.partition = owner.partition
        self.records = records
        self.start = start
        self.next_offset: int = start.at if start is not None else records[-1].offset + 1
        self.size_bytes = size_bytes
        """Bytes of memory that all records take."""
        self.is_done = False
        """Whether the run was acknowledged."""
        self._owner = owner

    @property
    def is_current(self) -> bool:
        """Whether the partition is still owned and was not sought since; otherwise its records come again."""
        return self._owner.is_current

    def release(self) -> None:
        """Free the records after they are read: processing their facts takes far longer than reading."""
        self.records = ()

    def ack(self) -> None:
        """Let the group's offset move past these records; no effect if repeated or after a revoke or seek.

        Runs may be acknowledged in any order, long after delivery and by any task of the event loop.
        """
        if not self.is_done:
            self.is_done = True
            self._owner.run_acked(self)


class PartitionRuns:
    """The fetched, delivered and acknowledged records of one partition since its assignment or last seek."""

    def __init__(self, topic: str, partition: int, limits: RunLimits, acked: Callable[[], None]) -> None:
        self.topic = topic
        self.partition = partition
        self._limits = limits
        self._notify = acked
        self._backlog: deque[Any] = deque()
        self.backlog_bytes = 0
        """Bytes of memory that waiting records take."""
        self._sizes: deque[int] = deque()
        """Bytes of each waiting record."""
        self._starts: deque[tuple[int, Start]] = deque()
        """Each start with the number of records received before it."""
        self._received = self._handed_out = 0
        self._delivered: deque[Run] = deque()
        self._position: int | None = None
        self._point: int | None = None
        self.is_current = True
        """Set to False when the partition is revoked or sought."""
        self.outstanding = 0
        """Runs that are delivered and not acknowledged."""
        self.outstanding_bytes = 0
        """Bytes of memory that their records take."""
        self.committed: Committed | None = None
        """The last offset that was committed to the group from here."""
        self.topic_id = ""
        """The topic id that belongs to the commit point; empty if it was not asked for."""

    @property
    def is_full(self) -> bool:
        """Whether the backlog is full, so the partition should not be fetched."""
        return self.is_full_with(0)

    def is_full_with(self, further_records: int) -> bool:
        """Return whether `further_records` more records would fill the backlog."""
        limits = self._limits
        return (
            len(self._backlog) + further_records >= limits.max_records * limits.max_waiting
            or self.backlog_bytes >= limits.max_bytes * limits.max_waiting
        )

    def received(
        self,
        records: Sequence[Any],
        position: int,
        sizes: Sequence[int] | None = None,
        start: Start | None = None,
    ) -> None:
        """Add the records of one fetch, the reader's position after it, and the start if there is one.

        The position lies beyond the last record if transaction markers or aborted records follow it.
        """
        if start is not None:
            self._starts.append((self._received, start))
        self._received += len(records)
        sizes = sizes_of(records) if sizes is None else sizes
        self._backlog.extend(records)
        self._sizes.extend(sizes)
        self.backlog_bytes += sum(sizes)
        self._position = position

    def next_run(self) -> Run | None:
        """Return the oldest waiting records as a run; None if nothing waits or enough is under way."""
        if self.outstanding >= self._limits.max_outstanding or not (self._backlog or self._starts):
            return None
        start: Start | None = None
        count = size_bytes = 0
        if self._starts and self._starts[0][0] == self._handed_out:
            start = self._starts.popleft()[1]
        else:
            count, size_bytes = self._next()
        pop, forget = self._backlog.popleft, self._sizes.popleft
        records = [pop() for _ in range(count)]
        for _ in records:
            forget()
        self.backlog_bytes -= size_bytes
        self._handed_out += count
        run = Run(records, self, size_bytes, start)
        self._delivered.append(run)
        self.outstanding += 1
        self.outstanding_bytes += size_bytes
        return run

    def _next(self) -> tuple[int, int]:
        """Return the number of records in the next run, at least one, and their bytes of memory."""
        most_bytes = self._limits.max_bytes
        most = self._starts[0][0] - self._handed_out if self._starts else self._limits.max_records
        sizes = list(islice(self._sizes, min(most, self._limits.max_records)))
        total = sum(sizes)
        if total > most_bytes:
            ends = list(accumulate(sizes))
            count = max(bisect_right(ends, most_bytes), 1)
            return count, ends[count - 1]
        return len(sizes), total

    def run_acked(self, run: Run) -> None:
        """Count a delivered run as done; called by the run."""
        self.outstanding -= 1
        self.outstanding_bytes -= run.size_bytes
        self._notify()

    def commit_point(self) -> int | None:
        """Return the next offset that may be committed, never past an unfinished run; None if unknown.

        It follows delivered runs in the order of delivery, so holes in the offsets (compaction, transaction
        markers) need no bookkeeping. With no run left it is the reader's position.
        """
        while self._delivered and self._delivered[0].is_done:
            run = self._delivered.popleft()
            self._point = run.next_offset
            if run.start is not None:
                self.topic_id = run.start.topic_id
        waits = self._delivered or self._backlog or self._starts
        if not waits and self._position is not None:
            self._point = self._position
        return self._point


def sizes_of(records: Sequence[Any]) -> list[int]:
    """Return the bytes of memory of each record; key and headers count, since they may hold megabytes."""
    return [
        RECORD_BYTES
        + len(record.value or b"")
        + len(record.key or b"")
        + (_headers_bytes(record.headers) if record.headers else 0)
        for record in records
    ]


def _headers_bytes(headers: Sequence[tuple[str, bytes | None]]) -> int:
    return sum(RECORD_BYTES + len(name) + len(value or b"") for name, value in headers)
