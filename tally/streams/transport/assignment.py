"""The partitions that this worker owns, from one assignment to the next revoke. No I/O."""

from collections.abc import Callable, Iterator

from faust.types import TP

from tally.streams.transport.config import RunLimits
from tally.streams.transport.fetching import Fetched
from tally.streams.transport.runs import Committed, PartitionRuns, Run


class NotOwned(LookupError):
    """This worker cannot seek a partition that it does not own."""


class Assignment:
    """The fetched records and the runs under way of each partition, and which fetches are still valid."""

    def __init__(self, limits: RunLimits, acked: Callable[[], None]) -> None:
        self._limits = limits
        self._acked = acked
        self._epochs: dict[TP, int] = {}
        self._paused: set[TP] = set()
        self.partitions: dict[TP, PartitionRuns] = {}
        self.generation: int | None = None
        """The group's generation of this assignment; None between a revoke and an assignment."""
        self.topic_ids: dict[TP, str] = {}
        """Topic ids that go with the offsets now being committed."""

    def begin(self, partitions: set[TP], generation: int) -> None:
        """Take over partitions, each with an empty state."""
        self.partitions = {tp: self._new(tp) for tp in partitions}
        self.generation = generation

    def end(self) -> set[TP]:
        """Give up all partitions and return them; their runs are no longer current."""
        ended, self.generation = set(self.partitions), None
        for runs in self.partitions.values():
            runs.is_current = False
        self.partitions = {}
        self._epochs.clear()
        self._paused.clear()
        return ended

    def seek(self, tp: TP) -> tuple[int, int]:
        """Forget all records and runs of one partition; return the generation and the epoch of the seek.

        Raises NotOwned.
        """
        if self.generation is None or tp not in self.partitions:
            raise NotOwned(f"partition {tp.partition} of {tp.topic} is not assigned to this worker")
        self.partitions[tp].is_current = False
        self.partitions[tp] = self._new(tp)
        self._epochs[tp] = self._epochs.get(tp, 0) + 1
        self._paused.discard(tp)
        return self.generation, self._epochs[tp]

    def _new(self, tp: TP) -> PartitionRuns:
        return PartitionRuns(tp.topic, tp.partition, self._limits, self._acked)

    def receive(self, fetched: Fetched) -> None:
        """Add the records of a fetch to their partitions; drop those fetched before a revoke or a seek."""
        if fetched.generation != self.generation:
            return
        for tp, piece in fetched.pieces.items():
            if piece.epoch == self._epochs.get(tp, 0):
                self.partitions[tp].received(piece.records, piece.position, piece.sizes, piece.start)
                if piece.paused:
                    self._paused.add(tp)

    def is_full_with(self, tp: TP, further_records: int) -> bool:
        """Return whether `further_records` more records would fill a partition's backlog."""
        runs = self.partitions.get(tp)
        return runs is not None and runs.is_full_with(further_records)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of these partitions."""
        return tuple({tp.topic: None for tp in self.partitions})

    def deliverable(self, topic: str) -> Iterator[Run]:
        """Yield the runs of a topic that may be delivered, round robin over its partitions."""
        partitions = [runs for tp, runs in self.partitions.items() if tp.topic == topic]
        left_bytes = self._limits.max_all_bytes - sum(
            runs.outstanding_bytes for runs in self.partitions.values()
        )
        found = True
        while found:
            found = False
            for runs in partitions:
                if left_bytes <= 0:
                    return
                if (run := runs.next_run()) is not None:
                    found = True
                    left_bytes -= run.size_bytes
                    yield run

    @property
    def has_enough(self) -> bool:
        """Whether the backlogs of all partitions together are full, so fetching should stop."""
        waiting = sum(runs.backlog_bytes for runs in self.partitions.values())
        return waiting >= self._limits.max_all_bytes

    def with_room_again(self) -> list[TP]:
        """Return the paused partitions that may be fetched again, each once."""
        found = [tp for tp in self._paused if not self.partitions[tp].is_full]
        self._paused.difference_update(found)
        return found

    @property
    def outstanding(self) -> int:
        """The number of runs under way in all partitions."""
        return sum(runs.outstanding for runs in self.partitions.values())

    def moved(self) -> dict[TP, tuple[PartitionRuns, Committed]]:
        """Return the offsets that may be committed and are not, each with the runs it comes from.

        The topic id is part of the comparison: a recreated topic has other offsets.
        """
        points = ((tp, runs, runs.commit_point()) for tp, runs in self.partitions.items())
        known = ((tp, runs, Committed(at, runs.topic_id)) for tp, runs, at in points if at is not None)
        return {tp: (runs, point) for tp, runs, point in known if point != runs.committed}

    def forget_commits(self) -> None:
        """Mark all offsets as uncommitted, so they are committed once more.

        When a topic is deleted, the brokers drop its committed offsets. They may do so after a topic of the
        same name was created, and then drop new commits as well.
        """
        for runs in self.partitions.values():
            runs.committed = None
