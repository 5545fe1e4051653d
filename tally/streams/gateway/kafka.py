"""The gateway's producer.

It is not idempotent: an idempotent one cannot go on after a batch that it has given up, and a record that is
there twice counts once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed, UnknownTopicOrPartitionError
from aiokafka.partitioner import DefaultPartitioner

from tally.schemas.topics import RAW_LIMIT_BYTES
from tally.streams.gateway.publishing import SEND_SECONDS
from tally.streams.gateway.queued import BATCH_BYTES, Record
from tally.streams.operations import rights, topics
from tally.streams.settings import Settings
from tally.tables.kafka.away import is_away
from tally.tables.kafka.batches import Sent, acknowledged, send_entries

CHECK_SECONDS = 10.0
OPEN_SECONDS = 3.0
"""How long connecting may take. A later try may reach brokers that an earlier one, under way, does not."""
CLOSE_SECONDS = 1.0


class KafkaConnection:
    """A connected producer of raw topics."""

    def __init__(self, producer: AIOKafkaProducer, refused: Callable[[], None]) -> None:
        self._producer = producer
        self._refused = refused

    async def send(self, topic: str, turn: int, records: Sequence[Record]) -> None:
        """Append records, and return once they are safe. Raises KafkaError.

        Those without a key go to one partition, chosen by `turn`.
        """
        try:
            await self._send(topic, turn, records)
        except KafkaError as error:
            if not is_away(error) or isinstance(error, UnknownTopicOrPartitionError):
                self._refused()
            raise

    async def _send(self, topic: str, turn: int, records: Sequence[Record]) -> None:
        partitions = sorted(await self._producer.partitions_for(topic))
        grouped: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            key = record.key
            grouped[
                partitions[turn % len(partitions)]
                if key is None
                else DefaultPartitioner()(key, partitions, partitions)
            ].append(record)
        sent: list[Sent] = []
        for partition, some in grouped.items():
            sent += await send_entries(
                self._producer,
                topic,
                partition,
                [(record.key, record.value) for record in some],
                [record.headers for record in some],
            )
        # The client shields its own futures: it cannot retry a batch whose future was cancelled.
        await acknowledged([part.future for part in sent])

    async def close(self) -> None:
        """Disconnect within a deadline, and drop what was not delivered."""
        producer = self._producer
        # stop() waits until all records are delivered: for ever while the brokers are away.
        producer._closed = True
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer._sender.close()
        producer._message_accumulator.fail_all(ProducerClosed())
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer.client.close()


class Connector:
    """Connects to the brokers; checks rights and topics the first time, and after any refusal.

    The checks take a dozen requests, so that without them a gateway goes on sooner after an outage.
    """

    def __init__(self, settings: Settings, names: Collection[str]) -> None:
        self._settings = settings
        self._names = names
        self._is_checked = False

    async def connect(self) -> KafkaConnection:
        """Return a connection.

        Raises NoBroker, RightsMissing, KafkaError, TopicsError, TimeoutError.
        """
        try:
            if not self._is_checked:
                await self._check()
            return await self._open()
        except (KafkaError, topics.TopicsError) as error:
            raise await rights.explained(self._settings, "gateway", error) from None

    async def _check(self) -> None:
        async with asyncio.timeout(CHECK_SECONDS):
            # Else who may not write a topic would learn of it when somebody posts, not now.
            await rights.check(self._settings, ["gateway"])
            # Otherwise the first record would let the brokers create the topic with their defaults.
            await topics.declare(self._settings, only=set(self._names))
        self._is_checked = True

    async def _open(self) -> KafkaConnection:
        connection = KafkaConnection(
            self._settings.kafka.producer(
                is_idempotent=False,
                max_batch_size=BATCH_BYTES,
                max_request_size=RAW_LIMIT_BYTES,
                request_timeout_ms=round(SEND_SECONDS * 1_000),
            ),
            self._check_again,
        )
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await connection._producer.start()
        except BaseException:
            await connection.close()
            raise
        return connection

    def _check_again(self) -> None:
        self._is_checked = False
