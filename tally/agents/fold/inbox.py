"""The queue of facts that wait to be folded in one partition, and the check of their offsets."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from tally.schemas.records import NOTICE_KIND, is_record_value, kind_of
from tally.tables.families.registry import BY_KIND
from tally.tables.kafka.delivered import FactRecord, FactRun


class Intake(Struct, frozen=True):
    """The facts to fold next, or the unexpected offset at which the log continues behind a gap."""

    records: list[FactRecord]
    gap_at: int | None = None


def intake_of(runs: Sequence[FactRun], next_offset: int) -> Intake:
    """Return the facts from progress on, or the offset behind a gap in them.

    Facts are written without transactions, so their offsets are dense.
    """
    records = [record for run in runs for record in run.records if record.offset >= next_offset]
    for expected, record in enumerate(records, start=next_offset):
        if record.offset != expected:
            return Intake([], gap_at=record.offset)
    return Intake(records)


class Foreign(Struct, frozen=True):
    """A record of the facts log that is not a fact, or not one that this release knows."""

    offset: int
    what: str


def foreign(records: Sequence[FactRecord]) -> Foreign | None:
    """Return the first record that is foreign, or None."""
    for record in records:
        value = record.value
        if not record.key or not is_record_value(value):
            return Foreign(record.offset, "no fact")
        if (kind := kind_of(value)) not in BY_KIND and kind != NOTICE_KIND:
            return Foreign(
                record.offset,
                f"family and version {kind!r}; of a newer release? Upgrade folds before route",
            )
    return None


class Inbox:
    """Queue of runs; `put` never waits, since the transport bounds the number of runs."""

    def __init__(self) -> None:
        self._runs: deque[FactRun] = deque()
        self._changed = asyncio.Event()
        self._records = 0
        self.closed = False

    def put(self, run: FactRun) -> None:
        """Add a run."""
        self._runs.append(run)
        self._records += len(run.records)
        self._changed.set()

    def clear(self) -> None:
        """Drop the waiting runs; they will be delivered again."""
        self._runs.clear()
        self._records = 0

    def close(self) -> None:
        """Drop the waiting runs of a revoked partition, and end its loop."""
        self.closed = True
        self.clear()
        self._changed.set()

    async def linger(self, timeout_seconds: float, enough_records: int) -> None:
        """Linger until enough records wait, the timeout expires, or the partition is revoked."""
        if timeout_seconds <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self._records < enough_records and not self.closed:
                    self._changed.clear()
                    await self._changed.wait()

    async def next_runs(self, max_records: int) -> list[FactRun]:
        """Wait for runs; return as many as fit, at least one, or none once closed.

        There is no deadline: an idle partition is healthy.
        """
        while not self._runs and not self.closed:
            self._changed.clear()
            await self._changed.wait()
        taken: list[FactRun] = []
        size = 0
        while self._runs and (not taken or size + len(self._runs[0].records) <= max_records):
            run = self._runs.popleft()
            size += len(run.records)
            taken.append(run)
        self._records -= size
        return taken
