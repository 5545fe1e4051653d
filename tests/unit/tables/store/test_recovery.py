"""Reading changelogs has no deadline while records arrive, reports its progress, and ends in silence."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from tally.schemas.topics import STATES
from tally.tables.kafka.clients import KafkaClients
from tally.tables.store import recovery
from tally.tables.store.recovery import Changelogs

PLACE = TopicPartition("g1-states", 0)
SILENT_SECONDS = 1.0
pytestmark = pytest.mark.asyncio


class SlowConsumer:
    """Hands out a record at each asking, after a while; of markers it says nothing and moves on."""

    def __init__(self, seconds: float, silent_at: int | None = None, markers: frozenset[int] = frozenset()):
        self._seconds = seconds
        self._silent_at = silent_at
        self._markers = markers
        self._at = 0

    def seek(self, _: TopicPartition, offset: int) -> None:
        self._at = offset

    async def position(self, _: TopicPartition) -> int:
        return self._at

    async def getmany(self, *_: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        assert timeout_ms > 0
        await asyncio.sleep(self._seconds)
        if self._at == self._silent_at:
            return {}
        self._at += 1
        return {} if self._at - 1 in self._markers else {PLACE: [self._at - 1]}


async def read(consumer: SlowConsumer, end: int) -> tuple[list[Any], list[tuple[int, int]]]:
    changelogs = Changelogs(KafkaClients(()), {STATES: PLACE.topic}, 0)
    changelogs._consumer = consumer
    taken: list[Any] = []
    told: list[tuple[int, int]] = []
    await changelogs._read(
        {"states": 0}, {"states": end}, taken.extend, lambda done, of: told.append((done, of))
    )
    return taken, told


async def test_an_opening_may_take_longer_than_any_silence_and_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "SILENT_SECONDS", SILENT_SECONDS)
    began_s = asyncio.get_running_loop().time()
    taken, told = await read(SlowConsumer(SILENT_SECONDS / 10), 30)

    assert asyncio.get_running_loop().time() - began_s > 2 * SILENT_SECONDS
    assert taken == list(range(30))
    assert told == [(done, 30) for done in range(1, 31)]


async def test_markers_that_nobody_is_handed_are_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "SILENT_SECONDS", SILENT_SECONDS)
    markers = frozenset(range(5, 30))
    taken, _ = await read(SlowConsumer(SILENT_SECONDS / 10, markers=markers), 30)

    assert taken == list(range(5))


async def test_an_opening_ends_where_nothing_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "SILENT_SECONDS", SILENT_SECONDS)
    with pytest.raises(TimeoutError):
        await read(SlowConsumer(0.01, silent_at=7), 30)
