"""Config and ports of the flush: rows, a writer, a clock and an observer."""

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
    """Source of the committed rows and progress of each partition; calls listeners on a changed row."""

    listeners: list[Callable[[int, RowKey], None]]

    def rows(self, partition: int) -> Mapping[RowKey, Row]:
        """Return the newest row of each key."""

    def offsets(self, partition: int) -> Iterator[tuple[RowKey, int] | None]:
        """Yield key and next offset of each row, with None now and then; rows may change meanwhile."""

    def progress(self, partition: int) -> Progress | None:
        """Return the newest progress; it follows the rows of its transaction."""


class RowWriter(Protocol):
    """Destination of rows; tables/postgres/writer.py says what each method raises."""

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, FlushProgress]:
        """Return the flush progress of those partitions that have one."""

    async def write(
        self, partition: int, rows: Rows, progress: FlushProgress, seen: FlushProgress | None
    ) -> int:
        """Write rows and move flush progress on from `seen`; return how many rows were new to Postgres."""

    async def unacceptable(self, partition: int, rows: Rows, most: int) -> dict[RowKey, str]:
        """Return the rows that cannot be stored, `most` at most, each with its SQLSTATE."""


class FlushObserver(Protocol):
    """Observer of flush."""

    def flushed(self, rows: int, seconds: float) -> None:
        """One transaction was committed."""

    def failed(self, group: str) -> None:
        """Something failed: SQLSTATE class, `timeout`, `connection`, `moved` or `foreign_store`."""

    def unflushed(self, dirty_rows: int, withheld_rows: int, lag_seconds: float) -> None:
        """One round ended: dirty rows, withheld rows, and the age of the oldest dirty row.

        While Postgres is unavailable the age is at least the duration of the outage.
        """


class FlushConfig(Struct, frozen=True):
    """Interval and sizes of flushes."""

    interval_seconds: float = 1.0
    """From the beginning of one flush to that of the next; longer where one takes more than a third of it."""
    max_rows: int = 500
    """Most rows of a transaction; so many dirty rows of one partition start a flush at once."""
    partitions_at_once: int = 4
    """At most the connections of the pool; with more, partitions wait for one against their deadline."""


class FlushPorts(Struct, frozen=True):
    """Collaborators of the flush."""

    source: RowSource
    writer: RowWriter
    partitions: Callable[[], Set[int]]
    """Partitions that this process flushes now: those it owns, once its view has caught up with them."""
    observer: FlushObserver
    clock: Callable[[], float]
    """Monotonic seconds."""
    jitter: Callable[[], float]
    """Returns a uniform random number from 0 to 1."""
    pause: Callable[[asyncio.Event, float], Awaitable[object]] = wait_for
    between: Callable[[], Awaitable[None]] = give_way
    """Awaited between two pieces of a long computation."""
