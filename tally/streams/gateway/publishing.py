"""Publishes what came over HTTP to raw topics, and says when the brokers have it.

A publication is safe once every in-sync replica has its records. One that is given up is taken out of the
queue, unless it is on its way already.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import cycle
from typing import Protocol

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from tally.agents.clock import Backoff
from tally.streams.gateway.queued import Ending, Part, Queue, Record, in_parts
from tally.streams.runtime.exit import describe

BATCHES = 4
"""Batches of a topic under way at once. One would leave its partitions idle between two answers."""
LINGER_SECONDS = 0.005
"""How long records are gathered while a batch is under way. A batch costs as much as twenty records."""
SEND_SECONDS = 3.0
"""How long a batch may be under way: a little longer than a request waits for it."""
EXPIRY_SECONDS = 0.1
"""How often what nobody waits for is given up. A timer for each would cost more than its hash."""
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0
"""Short, so that publishing resumes soon after the brokers are back."""
REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError)


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


class Publishing:
    """Publishes through one connection, which it replaces after any failure.

    The connection's client may know only brokers that are gone. What it had under way fails then: its
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
        self._queues = {topic: Queue() for topic in topics}
        self._under_way: dict[asyncio.Task[None], Sequence[Part]] = {}
        self._turns = cycle(range(1 << 30))
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, spread=1.0)

    async def publish(self, topic: str, records: Sequence[Record], within_seconds: float) -> Ending:
        """Return how it ended, a tenth of a second late at most; if not safely, a part may be there."""
        queue, loop = self._queues[topic], asyncio.get_running_loop()
        due_s = loop.time() + within_seconds
        waiting: list[tuple[Part, asyncio.Future[Ending]]] = []
        for some in in_parts(records):
            future = loop.create_future()
            part = Part(some, due_s, partial(_tell, future))
            queue.put(part)
            waiting.append((part, future))
        try:
            endings = {await future for _, future in waiting}
        except asyncio.CancelledError:
            for part, _ in waiting:
                queue.drop(part)
                part.forget()
            raise
        unsafe: tuple[Ending, ...] = ("too_large", "not_acknowledged")
        return next((ending for ending in unsafe if ending in endings), "safe")

    def begin(
        self, topic: str, record: Record, within_seconds: float, ended: Callable[[Ending], None]
    ) -> None:
        """Publish one record, and call `ended` as `publish` returns: without a task, and never at once."""
        due_s = asyncio.get_running_loop().time() + within_seconds
        self._queues[topic].put(Part((record,), due_s, ended))

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_connected())
                tasks.create_task(self._expire())
                for topic, queue in self._queues.items():
                    tasks.create_task(self._send_all(topic, queue))
        finally:
            for task in list(self._under_way):
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
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

    async def _expire(self) -> None:
        """End what nobody waits for any longer, again and again."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            now_s = loop.time()
            for queue in self._queues.values():
                queue.expire(now_s)
            for parts in self._under_way.values():
                for part in parts:
                    if part.due_s <= now_s:
                        part.end("not_acknowledged")

    async def _send_all(self, topic: str, queue: Queue) -> None:
        """Send batch after batch. Where nothing is under way a record waits for no other."""
        room = asyncio.Semaphore(BATCHES)
        under_way = 0

        def ended(task: "asyncio.Task[None]") -> None:
            nonlocal under_way
            under_way -= 1
            room.release()
            self._under_way.pop(task)

        while True:
            await queue.filled()
            await self._connected.wait()
            await room.acquire()
            if under_way:
                await asyncio.sleep(LINGER_SECONDS)
            connection = self._connection
            # While nothing can be sent, all stays in the queue, from which it can be given up.
            if connection is None or not self._connected.is_set() or not (parts := queue.next_batch()):
                room.release()
                continue
            task = asyncio.create_task(self._send(connection, topic, parts))
            self._under_way[task] = parts
            under_way += 1
            task.add_done_callback(ended)

    async def _send(self, connection: Connection, topic: str, parts: Sequence[Part]) -> None:
        """Send parts together, and end them."""
        try:
            await self._append(connection, topic, parts)
        except Exception as error:
            self._failed(connection, error)
        else:
            self._backoff.succeeded()
            self._observer.up()
        finally:
            for part in parts:
                part.end("not_acknowledged")

    async def _append(self, connection: Connection, topic: str, parts: Sequence[Part]) -> None:
        """Append parts together; if the brokers refuse that for its size, one by one."""
        records = [record for part in parts for record in part.records]
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await connection.send(topic, next(self._turns), records)
        except REFUSED:
            if len(parts) == 1:
                parts[0].end("too_large")
                return
            for part in parts:
                await self._append(connection, topic, [part])
            return
        for part in parts:
            part.end("safe")

    def _failed(self, connection: Connection, error: Exception) -> None:
        """Give a connection up, unless another batch has done so."""
        if self._connection is connection:
            self._observer.down(describe(error))
            self._connected.clear()
            self._lost.set()


def _tell(waiting: "asyncio.Future[Ending]", ending: Ending) -> None:
    """Tell who waits how it ended, unless that one was cancelled in this very turn of the loop."""
    if not waiting.done():
        waiting.set_result(ending)
