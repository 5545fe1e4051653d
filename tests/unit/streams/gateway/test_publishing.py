"""Laws of publishing: done means safe, a lost connection is replaced, nobody waits for another's failure."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from tally.streams.gateway.publishing import (
    BATCH_BYTES,
    SENDERS,
    Publishing,
    Record,
    TooLargeForBrokers,
    in_parts,
)

TOPIC = "webhook-events"
SECONDS = 5.0
GIVEN_UP = 40


class Brokers:
    """Brokers in memory that may be away, hold acknowledgements back, or refuse large records."""

    def __init__(self) -> None:
        self.safe: list[bytes] = []
        self.batches: list[int] = []
        self.connections = 0
        self.is_away = False
        self.most_bytes = 1 << 30
        self.answers = asyncio.Event()
        self.answers.set()
        self.said: list[str] = []

    async def connect(self) -> "Brokers":
        if self.is_away:
            raise KafkaConnectionError("no broker")
        self.connections += 1
        return self

    async def send(self, _: str, __: int, records: Sequence[Record]) -> None:
        if self.is_away:
            raise KafkaConnectionError("no broker")
        if any(len(record.value) > self.most_bytes for record in records):
            raise MessageSizeTooLargeError
        self.batches.append(len(records))
        await self.answers.wait()
        self.safe += [record.value for record in records]

    async def close(self) -> None:
        return

    def up(self) -> None:
        self.said.append("up")

    def down(self, trouble: str) -> None:
        self.said.append(trouble)


@asynccontextmanager
async def publishing(brokers: Brokers) -> AsyncIterator[Callable[..., "asyncio.Future[None]"]]:
    made = Publishing([TOPIC], brokers.connect, brokers, lambda: 0.0)
    running = asyncio.create_task(made.run())

    def publish(*values: bytes, within_seconds: float = SECONDS) -> "asyncio.Future[None]":
        records = [Record(value, []) for value in values]
        return asyncio.ensure_future(made.publish(TOPIC, records, within_seconds))

    try:
        yield publish
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.asyncio
async def test_done_means_that_the_brokers_have_it() -> None:
    brokers = Brokers()
    brokers.answers.clear()
    async with publishing(brokers) as publish:
        one = publish(b"a", b"b")
        await asyncio.sleep(0.05)
        assert brokers.batches == [2]
        assert not one.done()
        brokers.answers.set()
        await one
    assert brokers.safe == [b"a", b"b"]


@pytest.mark.asyncio
async def test_who_gave_up_is_not_published_later() -> None:
    brokers = Brokers()
    brokers.is_away = True
    async with publishing(brokers) as publish:
        with pytest.raises(TimeoutError):
            await publish(b"given up", within_seconds=0.05)
        brokers.is_away = False
        await publish(b"after")
    assert brokers.safe == [b"after"]


@pytest.mark.asyncio
async def test_what_was_given_up_is_forgotten_while_brokers_are_away() -> None:
    brokers = Brokers()
    brokers.is_away = True
    async with publishing(brokers) as publish:
        tracemalloc.start()
        try:
            for number in range(GIVEN_UP):
                with pytest.raises(TimeoutError):
                    await publish(bytes([number]) * BATCH_BYTES, within_seconds=0.005)
            gc.collect()  # a time-out of a task is in a cycle with it
            held_bytes, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # Each sender holds what it has taken.
    assert held_bytes < (SENDERS + 2) * BATCH_BYTES


@pytest.mark.asyncio
async def test_a_lost_connection_is_replaced_and_what_it_had_fails() -> None:
    brokers = Brokers()
    async with publishing(brokers) as publish:
        await publish(b"before")
        brokers.is_away = True
        with pytest.raises(KafkaConnectionError):
            await publish(b"lost")
        brokers.is_away = False
        await publish(b"after")
    assert brokers.safe == [b"before", b"after"]
    assert brokers.connections == 2
    assert [said.partition(":")[0] for said in dict.fromkeys(brokers.said)] == ["up", "KafkaConnectionError"]


@pytest.mark.asyncio
async def test_a_record_that_the_brokers_refuse_fails_alone() -> None:
    brokers = Brokers()
    brokers.most_bytes = 10
    async with publishing(brokers) as publish:
        many = [publish(b"%d" % number) for number in range(20)]
        large = publish(b"x" * 11)
        with pytest.raises(TooLargeForBrokers):
            await large
        await asyncio.gather(*many)
    assert sorted(brokers.safe) == sorted(b"%d" % number for number in range(20))
    assert brokers.connections == 1


def test_parts_hold_a_batch_of_bytes_and_no_record_is_split() -> None:
    sizes = [0, BATCH_BYTES // 2, BATCH_BYTES // 2, 1, 3 * BATCH_BYTES, 5, 7]
    parts = in_parts([Record(bytes(size), []) for size in sizes])

    assert [[len(record.value) for record in part] for part in parts] == [
        [0, BATCH_BYTES // 2, BATCH_BYTES // 2],
        [1],
        [3 * BATCH_BYTES],
        [5, 7],
    ]
