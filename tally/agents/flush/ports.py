"""What the flush needs of the world: rows, a writer, a clock, and who wants to know."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from typing import Protocol

from msgspec import Struct

from tally.agents.clock import wait_for
from tally.schemas.grains import RowKey
from tally.schemas.rows import Progress, Row
from tally.tables.pieces import give_way
from tally.tables.postgres.columns import Rows
from tally.tables.postgres.progress import FlushProgress


class RowSource(Protocol):
    """Committed rows and progress of each partition, and who wants to hear of changed rows."""

    listeners: list[Callable[[int, RowKey], None]]

    def rows(self, partition: int) -> Mapping[RowKey, Row]:
        """Return the newest row of each key."""

    def offsets(self, partition: int) -> Iterator[tuple[RowKey, int] | None]:
        """Yield key and next offset of each row, and now and then None; rows may change meanwhile."""

    def progress(self, partition: int) -> Progress | None:
        """Return the newest progress; it follows the rows of its transaction."""


class RowWriter(Protocol):
    """Where rows go; see tables/postgres/writer.py for what each method raises."""

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, FlushProgress]:
        """Return the flush progress of those partitions that have one."""

    async def write(
        self, partition: int, rows: Rows, progress: FlushProgress, seen: FlushProgress | None
    ) -> int:
        """Write rows and move flush progress from what was seen; return how many rows were news."""

    async def unacceptable(self, partition: int, rows: Rows, most: int) -> dict[RowKey, str]:
        """Return SQLSTATE by row of rows that cannot be stored, of so many at most."""


class FlushObserver(Protocol):
    """What the flush tells the metrics."""

    def flushed(self, rows: int, seconds: float) -> None:
        """One transaction was committed."""

    def failed(self, group: str) -> None:
        """Something failed: SQLSTATE class, `timeout`, `connection`, `moved` or `foreign_store`."""

    def unflushed(self, dirty_rows: int, withheld_rows: int, lag_seconds: float) -> None:
        """Once a round: rows still to be written, rows that cannot be, age of the oldest that is dirty.

        The age is at least the time that Postgres has been away.
        """


class FlushConfig(Struct, frozen=True):
    """When to flush, and how much at once."""

    interval_seconds: float = 1.0
    """From the beginning of one flush to that of the next; longer where one takes more than a third of it."""
    max_rows: int = 500
    """Most rows of a transaction; so many dirty rows of one partition end the wait."""
    partitions_at_once: int = 4
    """No more than the pool has connections, else partitions wait for each other against their deadline."""


class FlushPorts(Struct, frozen=True):
    """What the flush touches of the world."""

    source: RowSource
    writer: RowWriter
    partitions: Callable[[], Set[int]]
    """Partitions that this process flushes now: its own ones, once its feed has caught up with them."""
    observer: FlushObserver
    clock: Callable[[], float]
    """Monotonic seconds."""
    jitter: Callable[[], float]
    """Uniform from 0 to 1."""
    pause: Callable[[asyncio.Event, float], Awaitable[object]] = wait_for
    between: Callable[[], Awaitable[None]] = give_way
    """What comes between two pieces of a long computation."""
