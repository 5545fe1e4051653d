"""The fold of one partition: it opens the tables, then folds each batch in one transaction."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog
from msgspec import structs

from tally.agents.compute_gate import TURN_SECONDS, Computation
from tally.agents.fold.batch import Folded, fold_steps, resync_at, resync_steps
from tally.agents.fold.failure import FamilyFailure, is_beyond_retry, next_failure
from tally.agents.fold.inbox import Inbox, foreign, intake_of
from tally.agents.fold.missing import Missing
from tally.agents.fold.opening import count_by_present_rules, open_tables
from tally.agents.fold.ports import FoldPorts
from tally.agents.fold.quarantine import already_quarantined, quarantine
from tally.agents.fold.resync import open_subjects
from tally.agents.fold.steps import OF_A_TRANSACTION, TooMuchAtOnce, WideResync
from tally.schemas.notices import CODE_FAILURE, TOO_LARGE
from tally.schemas.records import oldest_raw_at_ms
from tally.schemas.rows import Progress
from tally.tables.kafka.delivered import FactRecord, FactRun
from tally.tables.pieces import Steps, at_once, in_pieces
from tally.tables.store.errors import CopyUnfit, ForeignRecord, GapInLog, StatesMissing, StoreBroken
from tally.tables.store.partition import PartitionStore

log = structlog.get_logger()


class Revoked(Exception):
    """The partition was revoked during a computation, whose result is of no use now."""


class Computed(NamedTuple):
    """The changes of a batch, and the seconds that it took to compute, including the turns of others."""

    folded: Folded
    seconds: float


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
        self._fingerprint = ports.rules.fingerprint
        self.inbox = Inbox()

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
            rest = await self._fold(rest)
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

    async def _fold(self, records: list[FactRecord]) -> list[FactRecord]:
        """Fold and commit records; return those still to be folded.

        None are left unless the batch was too large, a fact failed, or the partition was revoked. `records`
        is cleared once its facts are computed: the commit takes far longer, and needs none of them.
        """
        lost = already_quarantined(records, self._store) if self._store.progress.quarantined else []
        hopeful = _without(records, lost) if lost else records
        missing = self._quarantined(lost, TOO_LARGE)
        steps = fold_steps(hopeful, self._store, self._ports.rules, OF_A_TRANSACTION, missing=missing)
        try:
            computed = await self._computed(steps)
        except (FamilyFailure, TooMuchAtOnce, WideResync) as error:
            return await self._fold_less(records, hopeful, error)
        if computed is None:
            return records
        await self._keep(lost, "StateTooLarge, as before")
        progress = self._progress(records, computed.folded, len(lost))
        records.clear()
        await self._commit(computed, progress)
        return []

    async def _commit(self, computed: Computed, progress: Progress) -> None:
        """Commit a computed batch, and report it to the observer."""
        folded, began = computed.folded, self._ports.monotonic()
        await self._store.commit(folded.writes, progress)
        commit_s = self._ports.monotonic() - began
        self._ports.observer.folded(self._store.partition, folded.facts, computed.seconds, commit_s)
        if folded.refused:
            self._ports.observer.refused(self._store.partition, folded.refused)

    async def _computed(self, steps: Steps[Folded]) -> Computed | None:
        """Compute in turns with other tasks; return None if the partition was revoked meanwhile."""
        monotonic = self._ports.monotonic
        computation = Computation(self._ports.gate, monotonic)

        async def pause() -> None:
            await computation.pause()
            if self.inbox.closed:
                raise Revoked

        await computation.begin()
        try:
            if self.inbox.closed:
                return None
            began = monotonic()
            folded = await in_pieces(steps, pause, TURN_SECONDS, monotonic)
            return Computed(folded, monotonic() - began)
        except Revoked:
            return None
        finally:
            computation.end()

    async def _fold_less(
        self, records: list[FactRecord], hopeful: list[FactRecord], error: Exception
    ) -> list[FactRecord]:
        """Fold the first half of a batch that cannot be folded at once, or handle its only fact.

        The facts before a failing one are thus committed first, half by half, until it is alone.
        """
        first = hopeful[len(hopeful) // 2 if len(hopeful) > 1 else 0]
        place = first.offset - records[0].offset  # offsets are dense
        if place:
            return await self._fold(records[:place]) + records[place:]
        if isinstance(error, FamilyFailure):
            await self._fail(first, error)
        elif not await self._resync(first):
            return records
        return records[1:]

    async def _resync(self, record: FactRecord) -> bool:
        """Fold a resync that ends many subjects, in portions; return whether the partition is still ours.

        Progress stays before the resync until the last portion: a new owner repeats it, with the same result.
        """
        resync = resync_at(record)
        portion, begin = OF_A_TRANSACTION.resynced_subjects, b""
        while subjects := open_subjects(resync, self._store, begin, portion):
            before = self._store.progress
            steps = resync_steps(
                resync, subjects, self._store, self._ports.rules, before.next_offset, OF_A_TRANSACTION
            )
            try:
                computed = await self._computed(steps)
            except TooMuchAtOnce:
                portion = max(len(subjects) // 2, 1)
                continue
            if computed is None:
                return False
            folded = computed.folded
            progress = structs.replace(
                before,
                rules=self._fingerprint,
                waiting=before.waiting + folded.waiting,
                contested=before.contested + folded.contested,
            )
            await self._commit(computed, progress)
            begin = subjects[-1] + b"\0"
        folded = at_once(fold_steps([record], self._store, self._ports.rules, is_resynced=True))
        await self._commit(Computed(folded, 0.0), self._progress([record], folded, 0))
        return True

    def _progress(self, records: list[FactRecord], folded: Folded, lost: int) -> Progress:
        before, next_offset = self._store.progress, records[-1].offset + 1
        failure = before.failure
        return Progress(
            next_offset,
            before.store_id,
            self._fingerprint,
            folded.oldest_raw_at_ms,
            before.quarantined + lost,
            before.waiting + folded.waiting,
            failure if failure is not None and failure.offset >= next_offset else None,
            contested=before.contested + folded.contested,
        )

    async def _fail(self, culprit: FactRecord, error: FamilyFailure) -> None:
        """Record a fact's failure durably and raise it; at the third failure, quarantine the fact instead.

        A fact whose subject has outgrown a record would only fail again, so it is quarantined at once.
        """
        progress = self._store.progress
        failure = next_failure(progress.failure, culprit.offset, str(error))
        if not error.too_large and not is_beyond_retry(failure):
            await self._store.commit({}, structs.replace(progress, failure=failure))
            raise error
        await self._keep([culprit], str(error))
        missing = self._quarantined([culprit], TOO_LARGE if error.too_large else CODE_FAILURE)
        moved = structs.replace(
            progress, next_offset=culprit.offset + 1, quarantined=progress.quarantined + 1, failure=None
        )
        await self._store.commit(missing.writes(oldest_raw_at_ms([culprit.value])), moved)

    def _quarantined(self, lost: list[FactRecord], kind: str) -> Missing:
        """Return the marks to write for the subjects of quarantined facts."""
        missing = Missing(self._store)
        for fact in lost:
            quarantine(missing, fact, kind, self._store, self._ports.rules)
        return missing

    async def _keep(self, lost: list[FactRecord], error: str) -> None:
        """Write quarantined facts to the dead letters, and report them."""
        if not lost:
            return
        partition = self._store.partition
        await self._ports.dead_letters(partition, lost, error)
        self._ports.observer.quarantined(partition, len(lost))
        log.error(
            "facts quarantined",
            partition=partition,
            offset=lost[0].offset,
            facts=len(lost),
            error=error,
        )


def _without(records: list[FactRecord], lost: list[FactRecord]) -> list[FactRecord]:
    offsets = {record.offset for record in lost}
    return [record for record in records if record.offset not in offsets]
