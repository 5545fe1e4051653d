"""The partitions that are ours, from one assignment to the next revoke. No I/O."""

from collections.abc import Callable, Iterator

from faust.types import TP

from tally.streams.transport.config import RunLimits
from tally.streams.transport.fetching import Fetched
from tally.streams.transport.runs import Committed, PartitionRuns, Run


class NotOwned(LookupError):
    """A partition is sought that this worker does not own."""


class Assignment:
    """What is fetched and under way of each partition, and which fetches still count."""

    def __init__(self, limits: RunLimits, acked: Callable[[], None]) -> None:
        self._limits = limits
        self._acked = acked
        self._epochs: dict[TP, int] = {}
        self._paused: set[TP] = set()
        self.partitions: dict[TP, PartitionRuns] = {}
        self.generation: int | None = None
        """The group's generation in which they are ours; None between a revoke and an assignment."""
        self.topic_ids: dict[TP, str] = {}
        """Of the offsets that are being committed."""

    def begin(self, partitions: set[TP], generation: int) -> None:
        """Take partitions over, all of them anew."""
        self.partitions = {tp: self._new(tp) for tp in partitions}
        self.generation = generation

    def end(self) -> set[TP]:
        """Let go of all partitions and return them; their runs are orphans from now on."""
        ended, self.generation = set(self.partitions), None
        for runs in self.partitions.values():
            runs.is_current = False
        self.partitions = {}
        self._epochs.clear()
        self._paused.clear()
        return ended

    def seek(self, tp: TP) -> tuple[int, int]:
        """Forget everything of one partition; return the generation and the epoch of the seek.

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
        """Take what a fetch brought, unless it was made before a revoke or a seek."""
        if fetched.generation != self.generation:
            return
        for tp, piece in fetched.pieces.items():
            if piece.epoch == self._epochs.get(tp, 0):
                self.partitions[tp].received(piece.records, piece.position, piece.sizes, piece.start)
                if piece.paused:
                    self._paused.add(tp)

    def is_full_with(self, tp: TP, further_records: int) -> bool:
        """Return whether so many more records fill a partition's backlog."""
        runs = self.partitions.get(tp)
        return runs is not None and runs.is_full_with(further_records)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of these partitions."""
        return tuple({tp.topic: None for tp in self.partitions})

    def deliverable(self, topic: str) -> Iterator[Run]:
        """Yield the runs of a topic that may be delivered, the partitions in turn."""
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
        """Whether so much waits, of all partitions, that nothing more should be fetched."""
        waiting = sum(runs.backlog_bytes for runs in self.partitions.values())
        return waiting >= self._limits.max_all_bytes

    def with_room_again(self) -> list[TP]:
        """Return the paused partitions that may be fetched again, each once."""
        found = [tp for tp in self._paused if not self.partitions[tp].is_full]
        self._paused.difference_update(found)
        return found

    @property
    def outstanding(self) -> int:
        """Runs under way, of all partitions."""
        return sum(runs.outstanding for runs in self.partitions.values())

    def moved(self) -> dict[TP, tuple[PartitionRuns, Committed]]:
        """Return the offsets that may be committed and are not, each with the runs it comes from.

        The same offset of a topic that was made anew is another one.
        """
        points = ((tp, runs, runs.commit_point()) for tp, runs in self.partitions.items())
        known = ((tp, runs, Committed(at, runs.topic_id)) for tp, runs, at in points if at is not None)
        return {tp: (runs, point) for tp, runs, point in known if point != runs.committed}

    def forget_commits(self) -> None:
        """Let all offsets be committed once more: with a topic the brokers forget what was committed in it,
        and may do so after one of its name was made anew.
        """
        for runs in self.partitions.values():
            runs.committed = None
