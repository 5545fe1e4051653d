"""Which of the delivered facts a fold takes next. Pure."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from tally.agents.fold.batch import FactRecord
from tally.schemas.records import HEAD_BYTES, KIND_BYTES, NOTICE_KIND
from tally.tables.families.registry import BY_KIND


class Run(Protocol):
    """Consecutive records of one partition, as one fetch brought them."""

    @property
    def records(self) -> Sequence[FactRecord]: ...  # noqa: D102 - said above

    def release(self) -> None:
        """Let go of the records."""

    def ack(self) -> None:
        """Let the group's offset move past these records; harmless after a revoke."""


class Intake(Struct, frozen=True):
    """The facts to fold next, or the offset at which the log goes on where progress did not expect it."""

    records: list[FactRecord]
    gap_at: int | None = None


def take(runs: Sequence[Run], next_offset: int) -> Intake:
    """Skip facts before progress; what follows must begin at progress and have no holes.

    Facts are written without transactions, so their offsets are dense.
    """
    records = [record for run in runs for record in run.records if record.offset >= next_offset]
    for expected, record in enumerate(records, start=next_offset):
        if record.offset != expected:
            return Intake([], gap_at=record.offset)
    return Intake(records)


class Foreign(Struct, frozen=True):
    """A record of the facts log that is no fact, or none that this release knows."""

    offset: int
    what: str


def foreign(records: Sequence[FactRecord]) -> Foreign | None:
    """Return the first of these records that is no fact of ours, if there is one."""
    for record in records:
        value = record.value
        if not value or not record.key or len(value) < HEAD_BYTES:
            return Foreign(record.offset, "no fact")
        if value[:KIND_BYTES] not in BY_KIND and value[:KIND_BYTES] != NOTICE_KIND:
            return Foreign(
                record.offset,
                f"family and version {value[:KIND_BYTES]!r}; of a newer release? Upgrade folds before route",
            )
    return None
