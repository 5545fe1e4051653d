"""Ports of the folds of a process: rules, limits and an observer."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct, field

from tally.agents.compute_gate import ComputeGate
from tally.tables.kafka.delivered import FactRecord
from tally.tables.rules import Rules

OPENINGS_AT_ONCE = 4
"""How many partitions open their tables at the same time.

One applies its records while the others fetch. Opening all eight at once was no faster, and each held its
fetched records in memory.
"""

CYCLE_SECONDS = 0.01
"""How long each open partition of a process lengthens a cycle: four times the CPU of a cycle that folds a few
facts, so that what does not depend on the number of facts takes a quarter of a core.

Rejected: resting as long as the batch and its commit took. Most of that is waiting for the brokers, which
costs nothing, and the rest doubled it.
"""


def cycle_seconds(open_partitions: int) -> float:
    """Return the least time from the beginning of a partition's batch to that of its next. Pure.

    A transaction costs much more than a fact. Under load batches grow instead of queues: a batch that takes
    longer is followed by the next at once.
    """
    return CYCLE_SECONDS * max(1, open_partitions)


class FoldObserver(Protocol):
    """Observer of fold: metrics and health."""

    def opening(self, partition: int, done: int, whole: int) -> None:
        """A partition reads its tables from their changelogs: `done` of `whole` offsets so far."""

    def opened(self, partition: int, seconds: float, records: int) -> None:
        """A partition's tables are ready."""

    def folded(self, partition: int, facts: dict[str, int], fold_s: float, commit_s: float) -> None:
        """A batch was committed; `facts` is by table."""

    def refused(self, partition: int, identifiers: int) -> None:
        """`identifiers` more identifiers stand apart, and identify no customer."""

    def quarantined(self, partition: int, facts: int) -> None:
        """Facts were quarantined."""


class FoldPorts(Struct, frozen=True):
    """Collaborators that the folds of all partitions share."""

    rules: Rules
    observer: FoldObserver
    monotonic: Callable[[], float]
    dead_letters: Callable[[int, Sequence[FactRecord], str], Awaitable[None]]
    """Writes quarantined facts of a partition to the dead letters, with the text of the error."""
    max_batch_facts: int = 5_000
    cycle_seconds: Callable[[], float] = lambda: CYCLE_SECONDS
    gate: ComputeGate = field(default_factory=ComputeGate)
    """Shared with all other long computations of the event loop."""
    openings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENINGS_AT_ONCE))
    """Held by each partition while its tables are opened."""
    reopen_seconds: tuple[float, float] = (1.0, 5.0)
    """The shortest and the longest pause before an opening that found no brokers begins again."""
    random: Callable[[], float] = random.random
    """From 0 to 1; spreads these pauses."""
