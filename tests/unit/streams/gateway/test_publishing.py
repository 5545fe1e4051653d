"""Laws of publishing: done means safe, a lost connection is replaced, nobody waits for another's failure."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from tally.streams.gateway.publishing import BATCHES, EXPIRY_SECONDS, SEND_SECONDS, Publishing
from tally.streams.gateway.queued import BATCH_BYTES, Ending, Record, in_parts

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
        self.as_it_is_safe: Callable[[], object] = lambda: None

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
        self.as_it_is_safe()

    async def close(self) -> None:
        return

    def up(self) -> None:
        self.said.append("up")

    def down(self, trouble: str) -> None:
        self.said.append(trouble)


@asynccontextmanager
async def publishing(brokers: Brokers) -> AsyncIterator[Callable[..., "asyncio.Future[Ending]"]]:
    made = Publishing([TOPIC], brokers.connect, brokers, lambda: 0.0)
    running = asyncio.create_task(made.run())

    def publish(*values: bytes, within_seconds: float = SECONDS) -> "asyncio.Future[Ending]":
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
        assert await one == "safe"
    assert brokers.safe == [b"a", b"b"]


@pytest.mark.asyncio
async def test_who_gave_up_is_not_published_later() -> None:
    brokers = Brokers()
    brokers.is_away = True
    async with publishing(brokers) as publish:
        assert await publish(b"given up", within_seconds=0.05) == "not_acknowledged"
        brokers.is_away = False
        assert await publish(b"after") == "safe"
    assert brokers.safe == [b"after"]


@pytest.mark.asyncio
async def test_who_gives_up_in_the_turn_in_which_it_ends_harms_no_other() -> None:
    brokers = Brokers()
    brokers.answers.clear()
    async with publishing(brokers) as publish:
        both = publish(b"1"), publish(b"2")
        brokers.as_it_is_safe = both[0].cancel
        brokers.answers.set()
        assert await both[1] == await publish(b"3") == "safe"
        assert both[0].cancelled()
        assert brokers.connections == 1
        assert set(brokers.said) == {"up"}


@pytest.mark.asyncio
async def test_what_was_given_up_is_forgotten_while_brokers_are_away() -> None:
    brokers = Brokers()
    brokers.is_away = True
    async with publishing(brokers) as publish:
        gc.disable()  # a gateway collects rarely
        tracemalloc.start()
        try:
            bodies = (bytes([number]) * BATCH_BYTES for number in range(GIVEN_UP))
            many = [publish(body, within_seconds=0.005) for body in bodies]
            assert set(await asyncio.gather(*many)) == {"not_acknowledged"}
            many.clear()
            held_bytes, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
    assert held_bytes < BATCH_BYTES


@pytest.mark.asyncio
async def test_a_lost_connection_is_replaced_and_what_it_had_fails() -> None:
    brokers = Brokers()
    async with publishing(brokers) as publish:
        await publish(b"before")
        brokers.is_away = True
        assert await publish(b"lost") == "not_acknowledged"
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
        assert await publish(b"x" * 11) == "too_large"
        assert set(await asyncio.gather(*many)) == {"safe"}
    assert sorted(brokers.safe) == sorted(b"%d" % number for number in range(20))
    assert brokers.connections == 1


@pytest.mark.asyncio
async def test_who_waits_for_a_batch_that_is_not_acknowledged_is_answered_in_time() -> None:
    brokers = Brokers()
    brokers.answers.clear()
    async with publishing(brokers) as publish:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        batches = BATCHES + 2  # two of them wait for a place
        many = [publish(bytes(BATCH_BYTES), within_seconds=0.3) for _ in range(batches)]
        assert set(await asyncio.gather(*many)) == {"not_acknowledged"}
        assert 0.3 <= loop.time() - began_s < 0.3 + EXPIRY_SECONDS + 1.0 < SEND_SECONDS
    assert len(brokers.batches) == BATCHES


@pytest.mark.asyncio
async def test_records_gather_while_a_batch_is_under_way_and_an_only_one_waits_for_none() -> None:
    brokers = Brokers()
    async with publishing(brokers) as publish:
        await publish(b"alone")
        brokers.answers.clear()
        first = publish(b"first")
        while len(brokers.batches) < 2:
            await asyncio.sleep(0)
        more = [publish(b"%d" % number) for number in range(20)]
        while len(brokers.batches) < 3:
            await asyncio.sleep(0.001)
        brokers.answers.set()
        await asyncio.gather(first, *more)
    assert brokers.batches == [1, 1, 20]


@pytest.mark.asyncio
async def test_a_publication_of_many_batches_is_safe_once_all_of_them_are() -> None:
    brokers = Brokers()
    async with publishing(brokers) as publish:
        whole = await publish(*[bytes(BATCH_BYTES)] * 3)
        brokers.most_bytes = BATCH_BYTES
        part = await publish(b"", bytes(BATCH_BYTES + 1))
    assert (whole, part) == ("safe", "too_large")


def test_parts_hold_a_batch_of_bytes_and_no_record_is_split() -> None:
    sizes = [0, BATCH_BYTES // 2, BATCH_BYTES // 2, 1, 3 * BATCH_BYTES, 5, 7]
    parts = in_parts([Record(bytes(size), []) for size in sizes])

    assert [[len(record.value) for record in part] for part in parts] == [
        [0, BATCH_BYTES // 2, BATCH_BYTES // 2],
        [1],
        [3 * BATCH_BYTES],
        [5, 7],
    ]
