"""Runs of records, and which offset may be committed: the bookkeeping of one partition. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any


class Run:
    """Consecutive records of one partition, as one fetch brought them."""

    __slots__ = ("_done", "partition", "records", "topic")

    def __init__(
        self, topic: str, partition: int, records: Sequence[Any], done: Callable[["Run"], None]
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.records = records
        self._done: Callable[[Run], None] | None = done

    @property
    def is_done(self) -> bool:
        """Whether the run was acknowledged."""
        return self._done is None

    @property
    def next_offset(self) -> int:
        """The offset that may be committed once this run and all before it are done."""
        return int(self.records[-1].offset) + 1

    def ack(self) -> None:
        """Let the group's offset move past these records; harmless twice, and after a revoke."""
        done, self._done = self._done, None
        if done is not None:
            done(self)


class Deliveries:
    """The runs of one partition that were handed out, in order."""

    def __init__(self) -> None:
        self._runs: deque[Run] = deque()
        self._outstanding = 0
        self._position: int | None = None

    @property
    def outstanding(self) -> int:
        """Runs that were handed out and are not acknowledged."""
        return self._outstanding

    def add(self, run: Run) -> None:
        """Note that a run is handed out."""
        self._runs.append(run)
        self._outstanding += 1

    def finished(self, run: Run) -> bool:
        """Note that a run is acknowledged; return whether it is one of ours.

        One from before a rebalance or a seek is not: its records are delivered again.
        """
        if run not in self._runs:
            return False
        self._outstanding -= 1
        return True

    def reached(self, position: int) -> None:
        """Note how far the reader has come, after all it returned was handed out.

        It is further than the last record where transaction markers or aborted records follow.
        """
        self._position = position

    def committable(self) -> int | None:
        """Return the next offset that may be committed, or None: never past a run that is not done."""
        offset = None
        while self._runs and self._runs[0].is_done:
            offset = self._runs.popleft().next_offset
        if not self._runs and self._position is not None:
            offset = max(self._position, offset or 0)
        return offset
