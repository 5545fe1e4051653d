"""The gateway's producer.

It is not idempotent: an idempotent one cannot go on after a batch that it has given up, and a record that is
there twice counts once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed
from aiokafka.partitioner import DefaultPartitioner

from tally.schemas.topics import RAW_LIMIT_BYTES
from tally.streams.gateway.publishing import BATCH_BYTES, SEND_SECONDS, Record
from tally.streams.operations import rights, topics
from tally.streams.settings import Settings
from tally.tables.kafka.batches import Sent, acknowledged, send_entries

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 1.0


class KafkaConnection:
    """A connected producer of raw topics."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, topic: str, turn: int, records: Sequence[Record]) -> None:
        """Append records, and return once they are safe. Raises KafkaError.

        Those without a key go to one partition, chosen by `turn`.
        """
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
        # Shielded: the client cannot retry a batch whose future was cancelled.
        await asyncio.shield(asyncio.ensure_future(acknowledged([part.future for part in sent])))

    async def close(self) -> None:
        """Disconnect within a deadline, and drop what was not delivered."""
        producer = self._producer
        # stop() waits until all records are delivered: for ever while the brokers are away.
        producer._closed = True
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer._sender.close()
        producer._message_accumulator.fail_all(ProducerClosed())
        await producer.client.close()


async def connect(settings: Settings, names: Collection[str]) -> KafkaConnection:
    """Check the gateway's rights, declare those of these topics that are missing, and connect.

    Raises NoBroker, RightsMissing, KafkaError, TopicsError, TimeoutError.
    """
    try:
        return await _connect(settings, names)
    except (KafkaError, topics.TopicsError) as error:
        raise await rights.explained(settings, "gateway", error) from None


async def _connect(settings: Settings, names: Collection[str]) -> KafkaConnection:
    async with asyncio.timeout(OPEN_SECONDS):
        # Else who may not write a topic would learn of it when somebody posts, not now.
        await rights.check(settings, ["gateway"])
        # Otherwise the first record would let the brokers create the topic with their defaults.
        await topics.declare(settings, only=set(names))
        connection = KafkaConnection(
            settings.kafka.producer(
                is_idempotent=False,
                max_batch_size=BATCH_BYTES,
                max_request_size=RAW_LIMIT_BYTES,
                request_timeout_ms=round(SEND_SECONDS * 1_000),
            )
        )
        try:
            await connection._producer.start()
        except BaseException:
            await connection.close()
            raise
    return connection
