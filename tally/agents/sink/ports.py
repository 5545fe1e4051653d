"""Config and ports of the sink: the logs of a partition, a writer, the group's partitions, a clock."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Protocol

from msgspec import Struct, field

from tally.agents.sink.cuts import Bounds
from tally.agents.sink.opening import Found, Ours
from tally.schemas.topics import Changelog
from tally.tables.postgres.progress import SinkProgress
from tally.tables.postgres.sieve import Sieve
from tally.tables.postgres.writer import Key, Order, Written


class Arrived(Struct, frozen=True):
    """What a reader got of one log."""

    log: Changelog
    records: Sequence[Any]
    position: int
    """The next offset that will be read; markers of transactions are passed over without a record."""
    is_at_end: bool
    """Whether the log ended there when the brokers answered, which was just now."""


class Logs(Protocol):
    """The two logs of one partition."""

    async def open(self) -> Found:
        """Connect, and return what there is. Raises KafkaError, TimeoutError."""

    def seek(self, places: Mapping[Changelog, int]) -> None:
        """Begin to read there."""

    async def read(self, logs: Sequence[Changelog], timeout_seconds: float) -> list[Arrived]:
        """Return what arrives of logs within the time, or what is there at once. Raises KafkaError."""

    async def close(self) -> None:
        """Disconnect."""


class SinkWriter(Protocol):
    """Postgres; tables/postgres/writer.py says what each method raises."""

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, SinkProgress]:
        """Return the progress of those partitions that have one."""

    async def note_empty(self, partition: int) -> None:
        """Tell readers that nothing was ever counted in a partition."""

    async def read_withheld(self, partition: int, epoch: int, most: int) -> list[Key]:
        """Return what an epoch has withheld of a partition, at most so many."""

    async def withheld_values(self, partition: int, keys: Iterable[Key]) -> dict[Key, bytes]:
        """Return the values that are withheld under keys."""

    async def write(self, order: Order, search: bool = False) -> Written:
        """Write, and move progress."""


class SinkObserver(Protocol):
    """Observer of the sink."""

    def written(self, changed: Mapping[str, int], seconds: float, by_kind: Mapping[str, float]) -> None:
        """One transaction was committed; `by_kind` are the seconds of its statements."""

    def sink_failed(self, group: str) -> None:
        """Something failed: SQLSTATE class, `timeout`, `connection`, `moved`, or why a partition waits."""

    def sinking(self, state: "SinkState") -> None:
        """One second has passed."""


class SinkState(Struct, frozen=True):
    """What a process's sink has to do."""

    dirty: int = 0
    """Entries that are read and not written."""
    withheld: int = 0
    lag_seconds: float = 0.0
    """The age of the moment that Postgres shows, where there is a later one."""
    catching_up: int = 0
    """Partitions of which Postgres does not hold one moment."""
    waiting: int = 0
    """Partitions that cannot be written; the log says why."""


class SinkConfig(Struct, frozen=True):
    """Interval and sizes of writes."""

    interval_seconds: float = 0.8
    """From the beginning of one write to that of the next; longer where one takes more than a third of it."""
    bounds: Bounds = field(default_factory=Bounds)
    ours: Ours = field(default_factory=lambda: Ours(""))
    partitions_at_once: int = 4
    """At most the connections of the pool; with more, partitions wait for one against their deadline."""
    look_seconds: float = 5.0
    """How often progress is read from Postgres, to notice a dump that was restored."""


class SinkPorts(Struct, frozen=True):
    """Collaborators of the sink."""

    logs: Callable[[int], Logs]
    """Makes the logs of a partition."""
    writer: SinkWriter
    partitions: Callable[[], Set[int]]
    """Partitions that this process has now."""
    observer: SinkObserver
    clock: Callable[[], float]
    """Monotonic seconds, with those in which the machine was suspended: logs are compacted meanwhile."""
    unix_ms: Callable[[], int]
    jitter: Callable[[], float]
    """Returns a uniform random number from 0 to 1."""
    token: Callable[[], str]
    """Draws what no other writer has."""
    sieve: Sieve = field(default_factory=Sieve)
