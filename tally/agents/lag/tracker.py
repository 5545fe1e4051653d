"""Lag: the moment `as_of` up to which the numbers hold everything that reached the raw topics. No I/O.

Why `as_of` is never too late. A sample at time t reads the clock first and then the end offsets E of the raw
topics. Every raw record from before t lies below E.

1. Route appends the facts of a raw record, waits for their acknowledgement, and only then commits the group's
   offset past it. For records that were deleted unread it appends a fact that says so. The committed offsets
   C are read after E. So once C reaches E in every partition, the facts log holds, for each of those records,
   either its facts or the fact that it is lost.
2. The end offsets F of the facts log are read after C. So all those facts lie below F.
3. Fold's transaction holds rows and progress, and the view applies a partition's rows before the progress
   that follows them. So once the view's progress reaches F in every partition, its rows hold those facts.

Hence as_of = t. Each comparison uses a later reading than the one before it: in any other order a record
could slip through between two readings. Any samples may be dropped; `as_of` is then only older.

E are high watermarks. Route reads `read_committed`, so no further than the first open transaction: until that
ends, nothing behind it is reached, and the state is not live. Aborted records and markers, which a consumer
never delivers, may lie behind the last record; route commits its *position*, which passes them.

A raw partition counts, even an empty one, only once route has committed an offset in it. Before that, route
has not checked whether the topic is the one that it read so far, and which records are gone. C is keyed by
topic id: an offset committed in a deleted topic says nothing about a new topic of the same name.
"""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

MAX_SAMPLES = 256
FACTS = "facts"

P = TypeVar("P")


class RawPartition(NamedTuple):
    """A partition of one raw topic."""

    topic: str
    """The logical name."""
    partition: int
    topic_id: str
    """Tells apart two topics that have had the same name one after the other."""


class Moment(NamedTuple):
    """One moment by both clocks, the monotonic one and the wall clock."""

    monotonic_s: float
    unix_ms: int


class LagTracker:
    """Derives `as_of` and lag from end and committed offsets, noted in the order in which they were read."""

    def __init__(self) -> None:
        self._ends: Mapping[RawPartition, int] = {}
        self._committed: Mapping[RawPartition, int] = {}
        self._facts_ends: Mapping[int, int] = {}
        self._arrived: _Samples[RawPartition] = _Samples()
        self._routed: Moment | None = None
        self._logged: _Samples[int] = _Samples()
        self._counted: Moment | None = None
        self._to_write: _Samples[int] = _Samples()
        self._written: tuple[Moment, Mapping[int, int]] | None = None

    def note_ends(self, asked_at: Moment, ends: Mapping[RawPartition, int]) -> None:
        """Note the end offsets of the raw topics; `asked_at` was read before the request."""
        self._ends = ends
        self._arrived.add(asked_at, ends)

    def note_committed(self, committed: Mapping[RawPartition, int]) -> None:
        """Note route's committed offsets, requested after the end offsets."""
        self._committed = committed
        self._routed = self._arrived.reached(committed) or self._routed

    def note_facts_ends(self, ends: Mapping[int, int]) -> None:
        """Note the end offsets of the facts log, requested after the committed offsets."""
        self._facts_ends = ends
        if self._routed is not None:
            self._logged.add(self._routed, ends)
            self._to_write.add(self._routed, ends)
            self._routed = None

    def as_of(self, progress: Mapping[int, int]) -> Moment | None:
        """Return the latest moment known to be counted, given the view's present progress."""
        self._counted = self._logged.reached(progress) or self._counted
        return self._counted

    def as_of_written(self, progress: Mapping[int, int]) -> Moment | None:
        """Return the latest moment known to be in Postgres, given the progress that it holds of partitions.

        Postgres is a second behind the view, so that its samples are kept for themselves. A dump that was
        restored falls back, and what was known of it before says nothing any more.
        """
        if self._written is not None:
            before = self._written[1]
            if any(progress.get(partition, -1) < offset for partition, offset in before.items()):
                self._written = None
        if (reached := self._to_write.reached(progress)) is not None:
            self._written = reached, dict(progress)
        return None if self._written is None else self._written[0]

    def lag_records(self, progress: Mapping[int, int]) -> dict[str, int]:
        """Return how many records wait in each topic, according to the last readings."""
        lag: dict[str, int] = {}
        for raw, end in self._ends.items():
            waiting = max(0, end - self._committed.get(raw, 0))
            lag[raw.topic] = lag.get(raw.topic, 0) + waiting
        return {**lag, FACTS: sum(self.facts_behind(progress).values())}

    def facts_behind(self, progress: Mapping[int, int]) -> dict[int, int]:
        """Return how many facts of each partition wait to be counted, according to the last reading."""
        ends = self._facts_ends.items()
        return {partition: max(0, end - progress.get(partition, 0)) for partition, end in ends}


class _Samples(Generic[P]):
    """End offsets, each with the moment of their sample, oldest first."""

    def __init__(self) -> None:
        self._samples: list[tuple[Moment, Mapping[P, int]]] = []

    def add(self, moment: Moment, ends: Mapping[P, int]) -> None:
        """Remember end offsets; equal ones of a later moment say more, and replace the former."""
        if self._samples and self._samples[-1][1] == ends:
            self._samples.pop()
        self._samples.append((moment, ends))
        if len(self._samples) > MAX_SAMPLES:
            # A stall of hours: every second sample is enough, and the newest one stays.
            self._samples = self._samples[1 - len(self._samples) % 2 :: 2]

    def reached(self, offsets: Mapping[P, int]) -> Moment | None:
        """Return the latest moment whose end offsets are all reached, and drop the samples up to it."""
        for index in range(len(self._samples) - 1, -1, -1):
            moment, ends = self._samples[index]
            if all(offsets.get(raw, -1) >= end for raw, end in ends.items()):
                del self._samples[: index + 1]
                return moment
        return None
