"""Runs of records, and which offset may be committed: the bookkeeping of one partition. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from tally.streams.transport.options import Limits


class Run:
    """Consecutive records of one partition; a hole in their offsets holds nothing to be read."""

    __slots__ = ("_owner", "is_done", "next_offset", "partition", "records", "topic")

    def __init__(self, records: Sequence[Any], owner: "PartitionRuns") -> None:
        self.topic = owner.topic
        self.partition = owner.partition
        self.records = records
        self.next_offset: int = records[-1].offset + 1
        self.is_done = False
        """Whether the run was acknowledged."""
        self._owner = owner

    @property
    def is_current(self) -> bool:
        """Whether its partition is still ours and was not sought since: else its records come again."""
        return self._owner.is_current

    def release(self) -> None:
        """Let go of records that have been read: what becomes of them takes far longer than reading them."""
        self.records = ()

    def ack(self) -> None:
        """Let the group's offset move past these records; harmless twice, and after a revoke or a seek.

        Runs may be acknowledged in any order, long after delivery and by any task of the event loop.
        """
        if not self.is_done:
            self.is_done = True
            self._owner.run_acked()


class PartitionRuns:
    """What was fetched, handed out and acknowledged of one partition since it was assigned or sought."""

    def __init__(self, topic: str, partition: int, limits: Limits, acked: Callable[[], None]) -> None:
        self.topic = topic
        self.partition = partition
        self._limits = limits
        self._notify = acked
        self._backlog: deque[Any] = deque()
        self._backlog_bytes = 0
        self._delivered: deque[Run] = deque()
        self._position: int | None = None
        self._point: int | None = None
        self.is_current = True
        """Made false where the partition is given away or sought."""
        self.outstanding = 0
        """Runs that are delivered and not acknowledged."""
        self.committed: int | None = None
        """What the group knows, as far as we told it."""

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be fetched: as much waits as may."""
        return self.is_full_with(0)

    def is_full_with(self, further_records: int) -> bool:
        """Return whether so many more records fill the backlog."""
        limits = self._limits
        return (
            len(self._backlog) + further_records >= limits.max_records * limits.max_waiting
            or self._backlog_bytes >= limits.max_bytes * limits.max_waiting
        )

    def received(self, records: Sequence[Any], position: int) -> None:
        """Take what one fetch brought, and where the reader stands after it.

        That is beyond the last record where transaction markers or aborted records follow.
        """
        self._backlog.extend(records)
        self._backlog_bytes += _value_bytes(records)
        self._position = position

    def next_run(self) -> Run | None:
        """Hand out the oldest records that wait, or None: nothing waits, or enough is under way."""
        if not self._backlog or self.outstanding >= self._limits.max_outstanding:
            return None
        records = self._cut()
        self._backlog_bytes -= _value_bytes(records)
        run = Run(records, self)
        self._delivered.append(run)
        self.outstanding += 1
        return run

    def _cut(self) -> list[Any]:
        candidates = list(islice(self._backlog, self._limits.max_records))
        count = len(candidates)
        if _value_bytes(candidates) > self._limits.max_bytes:
            count = _within(candidates, self._limits.max_bytes)
        pop = self._backlog.popleft
        return [pop() for _ in range(count)]

    def run_acked(self) -> None:
        """Note that one of the delivered runs is done; called by the run."""
        self.outstanding -= 1
        self._notify()

    def commit_point(self) -> int | None:
        """Return the next offset that may be committed, or None: never past a run that is not done.

        Only delivered runs count, in the order of delivery, so that holes in the offsets (compaction,
        transaction markers) need no bookkeeping. With nothing left it is the reader's position.
        """
        while self._delivered and self._delivered[0].is_done:
            self._point = self._delivered.popleft().next_offset
        if not self._delivered and not self._backlog and self._position is not None:
            self._point = self._position
        return self._point


def _value_bytes(records: Sequence[Any]) -> int:
    """Return the size of all values together."""
    return sum([len(record.value or b"") for record in records])


def _within(records: Sequence[Any], max_bytes: int) -> int:
    """Return how many of the first records are within a size, at least one."""
    total = 0
    for count, record in enumerate(records):
        total += len(record.value or b"")
        if total > max_bytes:
            return max(count, 1)
    return len(records)
