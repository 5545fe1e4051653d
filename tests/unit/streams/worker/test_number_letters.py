"""Records of `numbers` that cannot be read become dead letters, each once, whatever goes away meanwhile."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import pytest
from aiokafka.errors import KafkaConnectionError
from msgspec import Struct

from tally.schemas.errors import Bad
from tally.schemas.topics import NUMBERS
from tally.streams.operations.numbers import UnreadNumber
from tally.streams.worker.number_letters import NumberLetters
from tally.streams.worker.observer import WorkerObserver
from tally.tables.kafka.dead_letters import DeadLetter, DeadLetters

BAD = Bad("not_json", "$", "a record of this version")


class Record(Struct, frozen=True):
    offset: int
    key: bytes = b"1"
    value: bytes = b"x"
    topic: str = "p-numbers"
    partition: int = 0
    headers: tuple[()] = ()


class Brokers:
    """Brokers that are away at the first try."""

    def __init__(self) -> None:
        self.tries = 0
        self.kept: list[int] = []

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        self.tries += 1
        if self.tries == 1:
            raise KafkaConnectionError("no broker")
        self.kept += [letter.record.offset for letter in letters]


class Counted:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int]] = []

    def dead_letters(self, source: str, reason: str, count: int) -> None:
        self.seen.append((source, reason, count))


@pytest.mark.asyncio
async def test_each_record_is_kept_once_even_where_brokers_go_away() -> None:
    brokers, counted = Brokers(), Counted()
    letters = NumberLetters(cast(DeadLetters, brokers), cast(WorkerObserver, counted))
    running = asyncio.create_task(letters.run())
    letters.note([UnreadNumber(Record(3), BAD)])
    letters.note([UnreadNumber(Record(3), BAD), UnreadNumber(Record(5), BAD)])
    async with asyncio.timeout(10):
        while len(counted.seen) < 2:
            await asyncio.sleep(0.01)
    letters.note([UnreadNumber(Record(5), BAD)])
    await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert sorted(brokers.kept) == [3, 5]
    assert counted.seen == [(NUMBERS, "not_json", 1)] * 2
