"""The transactions of a fold: a batch is computed and committed in one; one that cannot be is halved."""

from collections.abc import Callable
from typing import NamedTuple

import structlog
from msgspec import structs

from tally.agents.compute_gate import TURN_SECONDS, Computation
from tally.agents.fold.batch import Folded, fold_steps, resync_at, resync_steps
from tally.agents.fold.failure import FamilyFailure, is_beyond_retry, next_failure
from tally.agents.fold.missing import Missing
from tally.agents.fold.ports import FoldPorts
from tally.agents.fold.quarantine import already_quarantined, quarantine
from tally.agents.fold.resync import open_subjects
from tally.agents.fold.steps import OF_A_TRANSACTION, TooMuchAtOnce, WideResync
from tally.schemas.notices import CODE_FAILURE, TOO_LARGE
from tally.schemas.records import oldest_raw_at_ms
from tally.schemas.rows import Progress
from tally.tables.kafka.delivered import FactRecord
from tally.tables.pieces import Steps, at_once, in_pieces
from tally.tables.store.partition import PartitionStore

log = structlog.get_logger()


class Revoked(Exception):
    """The partition was revoked during a computation, whose result is of no use now."""


class Computed(NamedTuple):
    """The changes of a batch, and the seconds that it took to compute, including the turns of others."""

    folded: Folded
    seconds: float


class Transactions:
    """Folds the facts of one open partition, a transaction a batch, until the partition is revoked."""

    def __init__(self, ports: FoldPorts, store: PartitionStore, is_revoked: Callable[[], bool]) -> None:
        self._ports = ports
        self._store = store
        self._is_revoked = is_revoked
        self._fingerprint = ports.rules.fingerprint

    async def fold(self, records: list[FactRecord]) -> list[FactRecord]:
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
        await self._dead_letter(lost, "StateTooLarge, as before")
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
            if self._is_revoked():
                raise Revoked

        await computation.begin()
        try:
            if self._is_revoked():
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
            return await self.fold(records[:place]) + records[place:]
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
        await self._dead_letter([culprit], str(error))
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

    async def _dead_letter(self, lost: list[FactRecord], error: str) -> None:
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
