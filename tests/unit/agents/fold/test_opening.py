"""The order in which partitions' tables are opened, and openings that find no brokers."""

import asyncio
from typing import cast

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    NodeNotReadyError,
    ProducerFenced,
    TopicAuthorizationFailedError,
)

from tally.agents.fold.opening import open_tables
from tally.agents.fold.ports import OPENINGS_AT_ONCE, FoldPorts
from tally.schemas.rows import Progress
from tally.tables.rules import Rules
from tally.tables.store.errors import LogGone
from tally.tables.store.partition import PartitionStore
from tests.support.stored_partition import Quiet

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(10)]


class Slow:
    """A store whose opening lasts until it is told to end."""

    progress = Progress(0, "store", "")
    recovered = 0

    def __init__(self, partition: int, opening: list[int]) -> None:
        self.partition = partition
        self._opening = opening
        self.ready = asyncio.Event()

    async def open(self, _told: object) -> None:
        self._opening.append(self.partition)
        await self.ready.wait()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_few_partitions_open_together_and_whoever_is_done_or_revoked_makes_room() -> None:
    ports = FoldPorts(Rules(), Quiet(), asyncio.get_running_loop().time, lambda *_: asyncio.sleep(0))
    opening: list[int] = []
    stores = [Slow(partition, opening) for partition in range(OPENINGS_AT_ONCE + 3)]
    tasks = [asyncio.create_task(open_tables(cast(PartitionStore, store), ports)) for store in stores]
    await settled()
    at_first = list(opening)
    stores[0].ready.set()
    tasks[1].cancel()
    tasks[OPENINGS_AT_ONCE].cancel()  # revoked while it waited
    await settled()
    assert at_first == list(range(OPENINGS_AT_ONCE))
    assert opening == [*at_first, OPENINGS_AT_ONCE + 1, OPENINGS_AT_ONCE + 2]

    for store in stores:
        store.ready.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not ports.openings.locked()


class Failing(Slow):
    """A store whose openings fail, one after the other, before the last one succeeds."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(0, [])
        self._errors = list(errors)

    async def open(self, _told: object) -> None:
        self._opening.append(self.partition)
        if self._errors:
            raise self._errors.pop(0)

    @property
    def openings(self) -> int:
        return len(self._opening)


def soon() -> FoldPorts:
    """Return ports of a fold that pauses for next to nothing."""
    clock = asyncio.get_running_loop().time
    return FoldPorts(Rules(), Quiet(), clock, lambda *_: asyncio.sleep(0), reopen_seconds=(0.001, 0.002))


async def test_an_opening_that_finds_no_brokers_begins_again_and_holds_up_no_other() -> None:
    ports = soon()
    store = Failing(KafkaConnectionError("closed"), TimeoutError("no answer"), NodeNotReadyError())
    await open_tables(cast(PartitionStore, store), ports)

    assert store.openings == 4
    assert not ports.openings.locked()


@pytest.mark.parametrize(
    "error", [ProducerFenced(), LogGone("facts"), TopicAuthorizationFailedError("facts")]
)
async def test_an_opening_that_waiting_cannot_mend_fails_at_once(error: Exception) -> None:
    store = Failing(error)
    with pytest.raises(type(error)):
        await open_tables(cast(PartitionStore, store), soon())
    assert store.openings == 1


async def test_a_partition_that_is_revoked_while_brokers_are_away_is_not_opened_again() -> None:
    store = Failing(*[KafkaConnectionError("closed")] * 100)
    task = asyncio.create_task(open_tables(cast(PartitionStore, store), soon()))
    while store.openings < 2:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    opened = store.openings
    await settled()
    assert store.openings == opened < 100
