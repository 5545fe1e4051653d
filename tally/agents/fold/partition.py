"""The fold of one partition: it opens the tables, then folds each batch that arrives until it is revoked."""

import asyncio
from collections.abc import Callable

import structlog

from tally.agents.fold.inbox import Inbox, foreign, intake_of
from tally.agents.fold.opening import count_by_present_rules, open_tables
from tally.agents.fold.ports import FoldPorts
from tally.agents.fold.transactions import Transactions
from tally.tables.kafka.delivered import FactRun
from tally.tables.store.errors import CopyUnfit, ForeignRecord, GapInLog, StatesMissing, StoreBroken
from tally.tables.store.partition import PartitionStore

log = structlog.get_logger()


class PartitionFold:
    """Folds the facts of one partition for as long as this process owns it."""

    def __init__(self, ports: FoldPorts, store: PartitionStore, seek: Callable[[int], None]) -> None:
        self._ports = ports
        self._store = store
        self._seek = seek
        self._sought = False
        self.is_open = False
        """Whether its tables are ready; waiting facts mean a slow fold only then."""
        self._opening: asyncio.Task[None] | None = None
        self.inbox = Inbox()
        self._transactions = Transactions(ports, store, lambda: self.inbox.closed)

    async def run(self) -> None:
        """Fold until the partition is revoked. Raises every error that must end the process."""
        try:
            try:
                await self._run_once()
            except CopyUnfit as error:
                log.warning("local copy is unfit", partition=self._store.partition, error=str(error))
                self._store.doubt(error.why)
                await self._run_again()
        except StoreBroken as error:
            if not self.inbox.closed:
                raise
            # Expected after a revocation: the new owner has fenced this store.
            log.info("let go of a revoked partition", partition=self._store.partition, why=str(error))

    async def _run_once(self) -> None:
        """Open, fold until the partition is revoked, and close. Raises CopyUnfit and what `run` raises."""
        if self.inbox.closed or not await self._opened():
            return
        try:
            await count_by_present_rules(self._store, self._ports.rules)
            self._start_at_progress()
            while runs := await self.inbox.next_runs(self._ports.max_batch_facts):
                next_s = self._ports.monotonic() + self._ports.cycle_seconds()
                await self._count(runs)
                rest_s = next_s - self._ports.monotonic()
                await self.inbox.linger(rest_s, self._ports.max_batch_facts // 2)
        finally:
            await self._store.close()

    async def _run_again(self) -> None:
        """Run once more with a rebuilt copy.

        If that copy is unfit too, the disk or the log is at fault. Raises StatesMissing if it lacks states,
        and CopyUnfit for other reasons.
        """
        try:
            await self._run_once()
        except CopyUnfit as error:
            if error.why == "states_missing":
                raise StatesMissing(self._store.partition, str(error)) from error
            raise

    def revoke(self) -> None:
        """Stop after the current batch, or cancel the opening at once.

        An opening that went on would fence the partition's new owner.
        """
        self.inbox.close()
        if self._opening is not None:
            self._opening.cancel()

    async def _opened(self) -> bool:
        """Open the tables; return whether the partition is still ours."""
        self.is_open = False
        self._opening = asyncio.ensure_future(open_tables(self._store, self._ports))
        try:
            await asyncio.wait({self._opening})
            if not self._opening.cancelled():
                self._opening.result()
                self.is_open = True
                return True
            return False
        finally:
            self._opening = None

    def _start_at_progress(self) -> None:
        """Seek to progress. The group's offset is only a hint, and may lie beyond it."""
        if not self.inbox.closed:
            self.inbox.clear()
            self._seek(self._store.progress.next_offset)

    async def _count(self, runs: list[FactRun]) -> None:
        intake = intake_of(runs, self._store.progress.next_offset)
        if intake.gap_at is not None:
            self._seek_back(intake.gap_at)
            return
        if (found := foreign(intake.records)) is not None:
            raise ForeignRecord(self._store.facts, self._store.partition, found.offset, found.what)
        for run in runs:
            run.release()
        rest = intake.records
        while rest and not self.inbox.closed:
            rest = await self._transactions.fold(rest)
        if not rest:
            self._sought = False
            for run in runs:
                run.ack()

    def _seek_back(self, gap_at: int) -> None:
        """Seek to progress after a gap. Raises GapInLog if the facts after such a seek have a gap as well."""
        next_offset = self._store.progress.next_offset
        if self._sought:
            raise GapInLog("facts", self._store.partition, next_offset, gap_at)
        log.warning("seeking back", partition=self._store.partition, next_offset=next_offset, gap_at=gap_at)
        self._sought = True
        self.inbox.clear()
        self._seek(next_offset)
