"""Publishes what came over HTTP to raw topics, and says when the brokers have it.

A future of a publication is done once every in-sync replica has its records. Whoever gives up on it takes its
records out of the queue, unless they are on their way already.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle
from typing import Protocol

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from msgspec import Struct

from tally.agents.clock import Backoff
from tally.streams.runtime.exit import describe
from tally.tables.kafka.batches import Headers

BATCH_BYTES = 512 << 10
SENDERS = 4
"""Batches of a topic under way at once. One sender would leave its partitions idle between two answers."""
LINGER_SECONDS = 0.003
"""How long a sender gathers records while another one is at work. A batch costs as much as twenty records."""
SEND_SECONDS = 3.0
"""How long a batch may be under way, as long as a request waits for it."""
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 2.0
"""Short, so that publishing resumes soon after the brokers are back."""
REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError)


class Record(Struct, frozen=True):
    """One raw event, and what is known of it beside its bytes."""

    value: bytes
    headers: Headers
    key: bytes | None = None
    """Its key in a compacted topic, which decides its partition; others are spread."""


class TooLargeForBrokers(Exception):
    """The brokers refuse a record for its size; it will not get smaller."""


class Connection(Protocol):
    """A connected producer; see `kafka.py`."""

    async def send(self, topic: str, turn: int, records: Sequence[Record]) -> None:
        """Append records to one partition, chosen by `turn`; return once they are safe. Raises KafkaError."""

    async def close(self) -> None:
        """Disconnect within a deadline, and drop what was not delivered."""


class Observer(Protocol):
    """Who wants to know how publishing goes."""

    def up(self) -> None:
        """Note that the brokers take records."""

    def down(self, trouble: str) -> None:
        """Note that they do not, and why."""


class _Part:
    """Some records of one publication that go together; its future is done when they are safe."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.size_bytes = sum(len(record.value) for record in records)
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class _Queue:
    """The parts of one topic that no sender has taken yet, and nobody has given up."""

    def __init__(self) -> None:
        self._parts: dict[_Part, None] = {}
        self._filled = asyncio.Event()
        self.senders_at_work = 0

    def put(self, part: _Part) -> None:
        self._parts[part] = None
        self._filled.set()

    def drop(self, part: _Part) -> None:
        """Forget a part that was given up: while the brokers are away no sender takes any."""
        self._parts.pop(part, None)

    async def next_parts(self) -> list[_Part]:
        """Return the first parts, one or as many as a batch holds.

        Where nothing is under way a part waits for no other.
        """
        while True:
            await self._filled.wait()
            if self.senders_at_work:
                await asyncio.sleep(LINGER_SECONDS)
            taken: list[_Part] = []
            size_bytes = 0
            for part in self._parts:
                if taken and size_bytes + part.size_bytes > BATCH_BYTES:
                    break
                taken.append(part)
                size_bytes += part.size_bytes
            for part in taken:
                del self._parts[part]
            if not self._parts:
                self._filled.clear()
            if taken:
                return taken


class Publishing:
    """Publishes through one connection, which it replaces after any failure.

    The connection's client may know only brokers that are gone. What a sender had under way fails then: its
    records may be in the topic all the same, and come again, which changes no number.
    """

    def __init__(
        self,
        topics: Sequence[str],
        connect: Callable[[], Awaitable[Connection]],
        observer: Observer,
        jitter: Callable[[], float],
    ) -> None:
        self._connect = connect
        self._observer = observer
        self._jitter = jitter
        self._queues = {topic: _Queue() for topic in topics}
        self._turns = cycle(range(1 << 30))
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, spread=1.0)

    async def publish(self, topic: str, records: Sequence[Record], within_seconds: float) -> None:
        """Return once the brokers have all records.

        Raises TimeoutError, KafkaError or TooLargeForBrokers; some of the records may be in the topic then.
        """
        parts = [_Part(some) for some in in_parts(records)]
        for part in parts:
            self._queues[topic].put(part)
        try:
            async with asyncio.timeout(within_seconds):
                # Nearly all have one part, and gathering would cost as much as the wait itself.
                await (parts[0].future if len(parts) == 1 else asyncio.gather(*(one.future for one in parts)))
        finally:
            for part in parts:
                self._queues[topic].drop(part)
                part.future.cancel()

    async def run(self) -> None:
        """Publish until cancelled."""
        senders = [
            asyncio.create_task(self._send_all(topic, queue))
            for topic, queue in self._queues.items()
            for _ in range(SENDERS)
        ]
        try:
            await asyncio.gather(self._keep_connected(), *senders)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
            await self._disconnect()

    async def _keep_connected(self) -> None:
        while True:
            try:
                self._connection = await self._connect()
            except Exception as error:
                # Whatever it is, requests are answered meanwhile, and the next try may succeed.
                self._observer.down(describe(error))
            else:
                self._observer.up()
                self._lost.clear()
                self._connected.set()
                await self._lost.wait()
                await self._disconnect()
            await asyncio.sleep(self._backoff.failed(self._jitter()))

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._connected.clear()
        if connection is not None:
            await connection.close()

    async def _send_all(self, topic: str, queue: _Queue) -> None:
        while True:
            parts = await queue.next_parts()
            await self._connected.wait()
            parts = [part for part in parts if not part.future.done()]
            connection = self._connection
            if connection is None or not parts:
                continue
            queue.senders_at_work += 1
            try:
                await self._send(connection, topic, parts)
            except Exception as error:
                self._failed(connection, error)
                for part in parts:
                    part.end(error)
            else:
                self._backoff.succeeded()
                self._observer.up()
            finally:
                queue.senders_at_work -= 1

    async def _send(self, connection: Connection, topic: str, parts: Sequence[_Part]) -> None:
        """Send parts together; if the brokers refuse that for its size, one by one."""
        records = [record for part in parts for record in part.records]
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await connection.send(topic, next(self._turns), records)
        except REFUSED as error:
            if len(parts) == 1:
                parts[0].end(TooLargeForBrokers(str(error)))
                return
            for part in parts:
                await self._send(connection, topic, [part])
            return
        for part in parts:
            part.end(None)

    def _failed(self, connection: Connection, error: Exception) -> None:
        """Give a connection up, unless another sender has done so."""
        if self._connection is connection:
            self._observer.down(describe(error))
            self._connected.clear()
            self._lost.set()


def in_parts(records: Sequence[Record]) -> list[list[Record]]:
    """Return records in parts of at most a batch's bytes, in their order; a larger record is a part. Pure."""
    parts: list[list[Record]] = []
    size_bytes = 0
    for record in records:
        if not parts or size_bytes + len(record.value) > BATCH_BYTES:
            parts.append([])
            size_bytes = 0
        parts[-1].append(record)
        size_bytes += len(record.value)
    return parts
