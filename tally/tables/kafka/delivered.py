"""Interfaces of the records and runs that Kafka delivers, as route, fold and dead letters use them."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tally.schemas.ami.reader import Headers
from tally.schemas.starts import Start


class Delivered(Protocol):
    """A record; the value of a tombstone is None."""

    @property
    def offset(self) -> int: ...  # noqa: D102 - Kafka's own words
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class RawRecord(Delivered, Protocol):
    """A record of a raw topic; its timestamp is in ms, negative if the producer set none."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102 - Kafka's own words
    @property
    def headers(self) -> Headers: ...  # noqa: D102


class FactRecord(Delivered, Protocol):
    """A record of the facts log; it has a key and a value."""

    @property
    def key(self) -> bytes: ...  # noqa: D102 - Kafka's own words
    @property
    def value(self) -> bytes: ...  # noqa: D102


RecordT_co = TypeVar("RecordT_co", bound=Delivered, covariant=True)


class Run(Protocol[RecordT_co]):
    """Consecutive records of one partition that are computed and acknowledged together."""

    @property
    def records(self) -> Sequence[RecordT_co]: ...  # noqa: D102 - said above

    def release(self) -> None:
        """Release the memory of the records."""

    def ack(self) -> None:
        """Allow the group's offset to move past these records; harmless after a revoke."""


class RawRun(Run[RawRecord], Protocol):
    """A run of raw records; a run without records says where the next runs start."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - Kafka's own words
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def size_bytes(self) -> int: ...  # noqa: D102 - of the records' values
    @property
    def is_current(self) -> bool: ...  # noqa: D102 - whether its partition is still ours
    @property
    def start(self) -> Start | None: ...  # noqa: D102 - where the next runs start


FactRun = Run[FactRecord]
