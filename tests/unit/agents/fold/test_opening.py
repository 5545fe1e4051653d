"""The order in which partitions' tables are opened."""

import asyncio
from typing import cast

import pytest

from tally.agents.fold.opening import open_tables
from tally.agents.fold.ports import OPENINGS_AT_ONCE, FoldPorts
from tally.schemas.rows import Progress
from tally.tables.rules import Rules
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
