"""A partition that is revoked leaves everything to its new owner."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tally.agents.compute_gate import ComputeGate
from tally.agents.fold.partition import PartitionFold
from tally.agents.fold.partitions import PartitionFolds
from tally.agents.fold.ports import FoldPorts
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.rules import Rules
from tally.tables.store.partition import PartitionStore
from tally.tables.store.transaction import ChangelogWriter
from tests.support.partition import NO_ORIGIN, record
from tests.support.stored_partition import CLAIM, OneRun, Quiet, moved, store_settings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]


async def test_a_partition_that_is_revoked_while_it_opens_does_not_fence_its_new_owner(
    facts: FactsLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)])
    slow = asyncio.Event()
    start = ChangelogWriter.start

    async def slowly(writer: ChangelogWriter) -> None:
        await slow.wait()
        await start(writer)

    failures: list[BaseException] = []
    ports = FoldPorts(Rules(), Quiet(), asyncio.get_running_loop().time, lambda *_: asyncio.sleep(0))
    former = PartitionStore(store_settings(settings, tmp_path / "former"), 0)
    folds = PartitionFolds(lambda _: PartitionFold(ports, former, lambda _: None), failures.append)
    monkeypatch.setattr(ChangelogWriter, "start", slowly)
    folds.assign({0})
    await asyncio.sleep(0.1)
    folds.revoke({0})
    monkeypatch.undo()
    owner = PartitionStore(store_settings(settings, tmp_path / "owner"), 0)
    await owner.open()
    slow.set()
    await folds.close(10)
    await owner.commit({}, moved(owner, 1))

    assert failures == []
    await owner.close()


class RevokedMeanwhile(ComputeGate):
    """A ComputeGate whose wait is as long as it takes to revoke a partition."""

    def __init__(self, revoke: Callable[[], None]) -> None:
        super().__init__()
        self._revoke = revoke
        self.taken = asyncio.Event()

    async def acquire(self) -> None:
        await super().acquire()
        self._revoke()
        self.taken.set()


async def test_a_partition_that_is_revoked_while_it_waits_for_its_turn_counts_nothing_more(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)])
    failures: list[BaseException] = []
    run = OneRun([record(0, CLAIM)])
    gate = RevokedMeanwhile(lambda: folds.revoke({0}))
    shared = FoldPorts(
        Rules(), Quiet(), asyncio.get_running_loop().time, lambda *_: asyncio.sleep(0), gate=gate
    )
    former = PartitionStore(store_settings(settings, tmp_path / "former"), 0)
    folds = PartitionFolds(
        lambda _: PartitionFold(shared, former, lambda _: folds.deliver(0, run)), failures.append
    )
    folds.assign({0})
    async with asyncio.timeout(30):
        await gate.taken.wait()
    await folds.close(10)
    owner = PartitionStore(store_settings(settings, tmp_path / "owner"), 0)
    await owner.open()

    assert failures == []
    assert not run.acked.is_set()
    assert owner.progress.next_offset == 0
    await owner.close()
