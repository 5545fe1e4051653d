"""Judges a run under faults: the arrived records, their count in plain SQL, and the numbers of Tally."""

from collections.abc import Sequence

from msgspec import Struct

from tally.oracle.comparison import Difference
from tally.streams.audit.examine import Audit, examine
from tally.streams.audit.stored import Ledger, ledger_in_postgres
from tally.streams.dev.judging import judged
from tests.faults.hooked_worker import HookedWorker
from tests.faults.oracle import Arrived, Sent, arrived
from tests.faults.stack import Stack
from tests.support.keys import answers_of

COUNTED_SECONDS = 120.0


class Verdict(Struct, frozen=True):
    """The criterion of every fault test (P0), in figures."""

    arrived: Arrived
    campaigns: int
    counters: int
    """Number of rows compared."""
    differences: list[Difference]
    lost: int
    doubled: int
    audit: Audit
    ledger: Ledger
    counted_seconds: float
    """Seconds from the start of the judgement until everything was counted."""

    @property
    def is_exact(self) -> bool:
        """Whether nothing was lost or invented, and every counter, also as a sum of lines, is plain SQL's."""
        came = self.arrived
        are_wrong = came.missing or came.invented or self.differences or self.audit.drift
        return not are_wrong and self.ledger.sums_are_equal


async def verdict(
    stack: Stack, worker: HookedWorker, sent: Sequence[Sent], counted_seconds: float = COUNTED_SECONDS
) -> Verdict:
    """Wait until everything is counted, then compare. Nothing may be sent meanwhile."""
    seconds = await stack.counted(worker, counted_seconds)
    async with answers_of(worker) as answers:
        found = await judged(stack.settings, answers)
    return Verdict(
        arrived=await arrived(stack.dsn, sent),
        campaigns=sum(len(key) == 2 for key in found.recounted),
        counters=len(found.recounted),
        differences=[*found.in_view, *found.in_postgres],
        lost=found.deviation.lost,
        doubled=found.deviation.doubled,
        audit=await examine(stack.settings, with_raw=False),
        ledger=await ledger_in_postgres(stack.settings),
        counted_seconds=seconds,
    )


async def assert_exact(
    stack: Stack, worker: HookedWorker, sent: Sequence[Sent], counted_seconds: float = COUNTED_SECONDS
) -> Verdict:
    """Return the verdict. Raises AssertionError with the differences unless everything is exact."""
    found = await verdict(stack, worker, sent, counted_seconds)
    assert found.is_exact, found
    assert found.counters, "nothing was counted: the run is void"
    return found
