"""The flush of one partition: reconcile with Postgres, write dirty rows, withhold what it cannot store."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog

from tally.agents.clock import Backoff
from tally.agents.flush.dirty_rows import WITHHELD_SECONDS, Batch, DirtyRows, DirtySince, FlushState, state_of
from tally.agents.flush.ports import FlushConfig, FlushPorts
from tally.schemas.grains import RowKey
from tally.schemas.rows import Row
from tally.tables.pieces import Steps, in_pieces
from tally.tables.postgres.columns import FINGERPRINT, Rows
from tally.tables.postgres.failures import PostgresFailure, Unacceptable
from tally.tables.postgres.progress import FlushProgress, ProgressMoved

SEARCHED_ROWS = 50
SEARCHED_SECONDS = 60.0
"""Searches find at most so many rows a minute. Each row costs Postgres some ten refused statements and a page
of its log: thousands would hold up all other rows and fill its disk."""
FOUND_AT_ONCE = 16
"""A search stops after so many rows, to meet its deadline for any batch."""


class Searches:
    """The budget of rows that searches may find, shared by all partitions of a process."""

    def __init__(self) -> None:
        self._at_seconds: deque[float] = deque()

    def reserve(self, now_seconds: float) -> int:
        """Reserve and return the number of rows that one search may find now."""
        while self._at_seconds and self._at_seconds[0] <= now_seconds - SEARCHED_SECONDS:
            self._at_seconds.popleft()
        rows = min(FOUND_AT_ONCE, SEARCHED_ROWS - len(self._at_seconds))
        self._at_seconds.extend([now_seconds] * rows)
        return rows

    def give_back(self, rows: int) -> None:
        """Give back the part of a reservation that a search did not use."""
        for _ in range(rows):
            self._at_seconds.pop()

    def free_at_seconds(self) -> float:
        """Return when the oldest reservation expires, by the monotonic clock; 0 without one."""
        return self._at_seconds[0] + SEARCHED_SECONDS if self._at_seconds else 0.0


log = structlog.get_logger()

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 5.0
"""Short: rows move again soon after Postgres is back."""

FOREIGN_STORE = (
    "Postgres holds counters of another facts log under this generation, and their offsets do not compare:"
    " raise TALLY_GENERATION and count anew"
)


class Outage:
    """Failures of Postgres in a row, and the backoff after them."""

    def __init__(self) -> None:
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS)
        self.since_seconds: float | None = None
        """When the first of them happened."""
        self.until_seconds = 0.0
        self.trouble = ""
        """The text of the last failure; empty after a success."""

    @property
    def failures(self) -> int:
        """How many failures there were in a row."""
        return self._backoff.failures

    def failed(self, trouble: str, now_seconds: float, jitter: float) -> None:
        """Note a failure; `jitter` is from 0 to 1."""
        if self.since_seconds is None:
            self.since_seconds = now_seconds
        self.until_seconds = now_seconds + self._backoff.failed(jitter)
        self.trouble = trouble

    def succeeded(self) -> None:
        """Note a success."""
        self._backoff.succeeded()
        self.since_seconds = None
        self.until_seconds = 0.0
        self.trouble = ""


class PartitionFlush:
    """Flushes one partition; a failure of Postgres is reported by `trouble` and retried, never raised."""

    def __init__(self, partition: int, ports: FlushPorts, config: FlushConfig, searches: Searches) -> None:
        self.dirty = DirtyRows(FINGERPRINT)
        self._searches = searches
        self._partition = partition
        self._ports = ports
        self._config = config
        self._outage = Outage()
        self._state: FlushState = "flushing"
        self._log = log.bind(partition=partition)

    @property
    def trouble(self) -> str:
        """The reason why rows of this partition do not reach Postgres; empty if there is none."""
        return FOREIGN_STORE if self._state == "foreign_store" else self._outage.trouble

    def changed(self, key: RowKey) -> bool:
        """Note that a row changed; return whether the dirty rows now fill a transaction."""
        dirty_rows = self.dirty.dirty_rows
        progress = self._ports.source.progress(self._partition)
        self.dirty.change(
            key, DirtySince(0 if progress is None else progress.next_offset, self._ports.clock())
        )
        return dirty_rows < self.dirty.dirty_rows == self._config.max_rows

    async def prepare(self, held: FlushProgress | None) -> bool:
        """Reconcile with the flush progress in Postgres; return whether to flush now."""
        progress = self._ports.source.progress(self._partition)
        self._enter(state_of(held, progress))
        if self._state != "flushing":
            self.dirty.close()
            return False
        now_seconds = self._ports.clock()
        offsets = self._ports.source.offsets(self._partition)
        if await in_pieces(self.dirty.reconcile(held, offsets, now_seconds), self._ports.between):
            self._ports.observer.failed("moved")
            self._log.warning("flush progress moved", dirty_rows=self.dirty.dirty_rows)
        self.dirty.release(now_seconds)
        return now_seconds >= self._outage.until_seconds

    async def flush(self) -> None:
        """Write the rows that are dirty now, and move flush progress."""
        try:
            await self._send(self.dirty.dirty_rows)
        except ProgressMoved:
            # Another flusher wrote since `prepare`; the next one shows how far.
            self._log.debug("flush progress moved meanwhile")
        except PostgresFailure as failure:
            note_failure(failure, self._outage, self._ports, self._log)
        else:
            self._outage.succeeded()

    async def _send(self, owed_rows: int) -> None:
        """Write batches until `owed_rows` rows are written or withheld; rows that became dirty since wait."""
        while True:
            progress = self._ports.source.progress(self._partition)
            if progress is None or not (batch := self.dirty.next_batch(progress, self._config.max_rows)):
                return
            owed_rows -= await self._write_or_withhold(batch)
            if owed_rows <= 0:
                return

    async def _write_or_withhold(self, batch: Batch) -> int:
        """Write a batch; return how many of its rows were written or withheld."""
        began_seconds = self._ports.clock()
        rows: Rows = []
        try:
            # A row that changes meanwhile may be newer than flush progress says; it is dirty again.
            reading = _read(self._ports.source.rows(self._partition), batch)
            rows = await in_pieces(reading, self._ports.between)
            news = await self._ports.writer.write(self._partition, rows, batch.progress, batch.seen)
        except Unacceptable as failure:
            self.dirty.put_back(batch)
            return await self._withhold(rows, failure)
        except BaseException:
            self.dirty.put_back(batch)
            raise
        self.dirty.done(batch)
        seconds = self._ports.clock() - began_seconds
        self._ports.observer.flushed(len(rows), seconds)
        self._log.debug(
            "flushed",
            rows=len(rows),
            news=news,
            next_offset=batch.progress.next_offset,
            seconds=seconds,
        )
        return len(rows)

    async def _withhold(self, rows: Rows, failure: Unacceptable) -> int:
        """Withhold and log the rows that made a batch unacceptable; without budget, the whole batch."""
        if not (allowed := self._searches.reserve(self._ports.clock())):
            self.dirty.withhold([key for key, _ in rows], self._searches.free_at_seconds())
            self._log.warning("rows wait for a search", sqlstate=failure.sqlstate, rows=len(rows))
            return len(rows)
        found: dict[RowKey, str] = {}
        try:
            found = await self._ports.writer.unacceptable(self._partition, rows, allowed)
        finally:
            self._searches.give_back(allowed - len(found))
        if not found:
            raise failure
        self.dirty.withhold(found, self._ports.clock() + WITHHELD_SECONDS)
        for key, sqlstate in found.items():
            self._ports.observer.failed(sqlstate[:2])
            self._log.error("row withheld", sqlstate=sqlstate, **_named(key))
        return len(found)

    def _enter(self, now: FlushState) -> None:
        if now == "foreign_store":
            self._ports.observer.failed(now)
        if now == self._state:
            return
        self._state = now
        if now == "foreign_store":
            self._log.error(FOREIGN_STORE)
        else:
            self._log.debug("flush stands", state=now)


def _read(rows: Mapping[RowKey, Row], batch: Batch) -> Steps[Rows]:
    found = []
    for key in batch.since:
        found.append((key, rows[key]))
        yield
    return found


def note_failure(failure: PostgresFailure, outage: Outage, ports: FlushPorts, logger: Any) -> None:
    """Count and log a failure, and back off; the log has only SQLSTATE and message of the cause."""
    now_seconds = ports.clock()
    outage.failed(str(failure), now_seconds, ports.jitter())
    ports.observer.failed(failure.group)
    logger.warning(
        "flush failed",
        sqlstate=failure.sqlstate,
        group=failure.group,
        reason=failure.reason,
        failures=outage.failures,
        retry_in_seconds=round(outage.until_seconds - now_seconds, 3),
    )


def _named(key: RowKey) -> dict[str, str]:
    template = key.template
    return {
        "tenant": key.tenant,
        "campaign": key.campaign,
        "template": "*" if template is None else template.name,
        "language": "" if template is None else template.language,
    }
