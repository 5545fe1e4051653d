"""What the folds of a process share: rules, limits, and who wants to know."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct, field

from tally.agents.compute_gate import ComputeGate
from tally.tables.kafka.delivered import FactRecord
from tally.tables.rules import Rules

OPENINGS_AT_ONCE = 4
"""Partitions whose tables are opened together.

One applies what it has read while the others read. All eight at once took as long, and each held what it
had fetched.
"""


class FoldObserver(Protocol):
    """Who wants to know what the fold does: metrics and health."""

    def opening(self, partition: int, done: int, whole: int) -> None:
        """A partition's tables are read from their changelogs: so many offsets, of how many."""

    def opened(self, partition: int, seconds: float, records: int) -> None:
        """A partition's tables are ready."""

    def folded(self, partition: int, facts: dict[str, int], fold_s: float, commit_s: float) -> None:
        """A batch of facts (by table) is counted."""

    def refused(self, partition: int, identifiers: int) -> None:
        """Identifiers have come to identify nobody."""

    def quarantined(self, partition: int, facts: int) -> None:
        """Facts were quarantined."""


class FoldPorts(Struct, frozen=True):
    """What every partition's fold needs."""

    rules: Rules
    observer: FoldObserver
    monotonic: Callable[[], float]
    dead_letters: Callable[[int, Sequence[FactRecord], str], Awaitable[None]]
    """Keeps facts of a partition that our code cannot take, with the name of the error."""
    max_batch_facts: int = 5_000
    gate: ComputeGate = field(default_factory=ComputeGate)
    """With all else that computes for long in this event loop."""
    openings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENINGS_AT_ONCE))
    """Held by each partition while its tables are opened."""
