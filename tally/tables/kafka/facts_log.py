"""Appending facts to the facts log: idempotent, acknowledged, without transactions."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from itertools import chain

from aiokafka import AIOKafkaProducer

from tally.schemas.keys import partition_of
from tally.schemas.notices import NOTICE, Notice
from tally.schemas.records import Origin, Traced, record_value
from tally.schemas.topics import FACT_LIMIT_BYTES
from tally.tables.kafka.batches import acknowledged, send_entries
from tally.tables.kafka.clients import KafkaClients

DELIVERY_TIMEOUT_MS = 60_000
"""How long the client retries while the broker is unavailable; then the process ends."""

Entry = tuple[bytes, bytes]


Grouped = defaultdict[int, list[Entry]]
"""Records by partition."""


def by_partition(facts: Iterable[Traced], partitions: int, more: Grouped | None = None) -> Grouped:
    """Encode facts with the origins of their raw events, and append the records to `more`. Pure."""
    grouped: Grouped = defaultdict(list) if more is None else more
    for keyed, origin in facts:
        key = keyed.key
        value = record_value(keyed.family, origin, keyed.fact)
        grouped[partition_of(key, partitions)].append((key, value))
    return grouped


class PartitionAppender:
    """Appends to one partition, one batch in flight at a time; later records wait for the next batch.

    The client could queue batches itself, but batches that wait there use up each other's time-out.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._waiting: list[tuple[list[Entry], asyncio.Future[None]]] = []
        self._pump: asyncio.Task[None] | None = None

    def append(self, entries: list[Entry]) -> "asyncio.Future[None]":
        """Append records; the future is done once the brokers have them. It raises KafkaError."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((entries, future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.ensure_future(self._send_all())
        return future

    async def _send_all(self) -> None:
        while self._waiting:
            futures = [future for _, future in self._waiting]
            error = await self._send(self._drain())
            for future in futures:
                if future.done():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

    def _drain(self) -> Iterator[Entry]:
        """Take the waiting records; an exhausted iterator no longer holds any of them."""
        taken, self._waiting = self._waiting, []
        return chain.from_iterable(entries for entries, _ in taken)

    async def _send(self, entries: Iterator[Entry]) -> Exception | None:
        try:
            sent = await send_entries(self._producer, self._topic, self._partition, entries)
            await acknowledged([part.future for part in sent])
        except Exception as error:  # passed to every waiting future
            return error
        return None


class FactsLog:
    """The facts producer of one process. It uses no transactions, so the log's offsets are dense."""

    def __init__(self, kafka: KafkaClients, topic: str) -> None:
        self._topic = topic
        self._producer = kafka.producer(
            max_batch_size=FACT_LIMIT_BYTES // 2,
            request_timeout_ms=DELIVERY_TIMEOUT_MS,
        )
        self._appenders: list[PartitionAppender] = []

    @property
    def partitions(self) -> int:
        """How many partitions the log has; 0 before the start."""
        return len(self._appenders)

    async def start(self) -> None:
        """Connect, and look up the log's partitions."""
        await self._producer.start()
        count = len(await self._producer.partitions_for(self._topic))
        self._appenders = [
            PartitionAppender(self._producer, self._topic, partition) for partition in range(count)
        ]

    def append(self, facts: Iterable[Traced]) -> Awaitable[object]:
        """Append facts; awaiting the result waits until the brokers have them. It raises KafkaError.

        Facts are encoded at once and not kept in memory, since the wait takes far longer.
        """
        return self.append_entries(by_partition(facts, self.partitions))

    def append_entries(self, grouped: Mapping[int, list[Entry]]) -> Awaitable[object]:
        """Append encoded facts; as `append`."""
        return acknowledged(
            [self._appenders[partition].append(entries) for partition, entries in grouped.items()]
        )

    async def tell(self, notices: Mapping[int, Notice], at_ms: int) -> None:
        """Append one notice to each of the given partitions, and wait until the brokers have them.

        Raises KafkaError.
        """
        origin = Origin(at_ms)
        value_of = {partition: record_value(NOTICE, origin, notice) for partition, notice in notices.items()}
        appenders = self._appenders
        await acknowledged(
            [appenders[partition].append([(NOTICE, value)]) for partition, value in value_of.items()]
        )

    async def close(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()
