"""Lag: up to which moment everything that reached the raw topics is in the numbers. No I/O.

Why `as_of` is never too late. Let a sample be taken at time t: first the clock is read, then the raw
topics' ends E. Any raw record from before t lies below E.

1. Route appends the facts of a raw record, waits until they are safe, and only then lets the group's
   offset move past it. What it finds to be gone is a fact as well, which says so. So when committed offsets
   C, asked for after E, reach E everywhere, all facts of those records are in the facts log by then, or that
   they are lost.
2. The facts log's ends F are asked for after C. So all those facts lie below F.
3. Fold's transaction holds rows and progress; the view applies a partition's rows before the progress that
   follows them. So once the view's progress reaches F in every partition, those facts are in its rows.

Hence as_of = t. Each comparison is made with a later reading than the one before it: in any other order a
record could slip through between two readings. Any subset of samples may be forgotten, `as_of` is only
older then.

E are high watermarks, the ends of what producers were told is safe. Route reads what is committed, and so
no further than the first open transaction: until that ends nothing behind it is reached, and it is not
live. Behind the last record may lie aborted ones and markers, which nobody is given; route commits its
*position*, which passes them.

A raw partition counts only once route has committed an offset in it, be it empty: before, nobody has looked
whether its topic is the one that was read so far, and what of it is gone. C holds offsets of these very
topics, by their ids: what was committed in a topic of the same name that is gone says nothing of its heir.
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
    """Of two topics that have had the name one after the other each has its own."""


class Moment(NamedTuple):
    """One moment by both clocks: seconds that never jump, and what people call it."""

    monotonic_s: float
    unix_ms: int


class LagTracker:
    """Takes readings of the pipeline's ends and offsets, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._ends: Mapping[RawPartition, int] = {}
        self._committed: Mapping[RawPartition, int] = {}
        self._facts_ends: Mapping[int, int] = {}
        self._arrived: _Samples[RawPartition] = _Samples()
        self._routed: Moment | None = None
        self._logged: _Samples[int] = _Samples()
        self._counted: Moment | None = None

    def note_ends(self, asked_at: Moment, ends: Mapping[RawPartition, int]) -> None:
        """Take the raw topics' ends; `asked_at` is read before they are asked for."""
        self._ends = ends
        self._arrived.add(asked_at, ends)

    def note_committed(self, committed: Mapping[RawPartition, int]) -> None:
        """Take route's committed offsets, asked for after the ends."""
        self._committed = committed
        self._routed = self._arrived.reached(committed) or self._routed

    def note_facts_ends(self, ends: Mapping[int, int]) -> None:
        """Take the facts log's ends, asked for after the committed offsets."""
        self._facts_ends = ends
        if self._routed is not None:
            self._logged.add(self._routed, ends)
            self._routed = None

    def as_of(self, progress: Mapping[int, int]) -> Moment | None:
        """Return the latest moment known to be counted, by the view's present progress."""
        self._counted = self._logged.reached(progress) or self._counted
        return self._counted

    def lag_records(self, progress: Mapping[int, int]) -> dict[str, int]:
        """Return how many records wait in each topic, by the last readings."""
        lag: dict[str, int] = {}
        for raw, end in self._ends.items():
            waiting = max(0, end - self._committed.get(raw, 0))
            lag[raw.topic] = lag.get(raw.topic, 0) + waiting
        behind = (end - progress.get(partition, 0) for partition, end in self._facts_ends.items())
        return {**lag, FACTS: sum(max(0, records) for records in behind)}


class _Samples(Generic[P]):
    """Ends with the moment that they stand for, oldest first."""

    def __init__(self) -> None:
        self._samples: list[tuple[Moment, Mapping[P, int]]] = []

    def add(self, moment: Moment, ends: Mapping[P, int]) -> None:
        """Remember ends. The same ends at a later moment say more, and replace the former."""
        if self._samples and self._samples[-1][1] == ends:
            self._samples.pop()
        self._samples.append((moment, ends))
        if len(self._samples) > MAX_SAMPLES:
            # A stall of hours: every second sample is enough, and the newest one stays.
            self._samples = self._samples[1 - len(self._samples) % 2 :: 2]

    def reached(self, offsets: Mapping[P, int]) -> Moment | None:
        """Return the latest moment whose ends are all reached, and forget it with those before it."""
        for index in range(len(self._samples) - 1, -1, -1):
            moment, ends = self._samples[index]
            if all(offsets.get(raw, -1) >= end for raw, end in ends.items()):
                del self._samples[: index + 1]
                return moment
        return None
