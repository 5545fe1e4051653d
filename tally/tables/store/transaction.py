"""The durable half of a partition's tables: fenced Kafka transactions on their changelogs."""

import asyncio
from collections.abc import Mapping

from msgspec import Struct

from tally.schemas.topics import FACT_LIMIT_BYTES
from tally.tables.kafka.batches import Sent, acknowledged, send_entries
from tally.tables.kafka.clients import KafkaClients
from tally.tables.store.interface import Entries

TRANSACTION_TIMEOUT_MS = 15_000
"""How long a dead owner's open transaction may block readers when no process takes over."""
CLOSE_SECONDS = 5.0


class Committed(Struct, frozen=True):
    """The brokers' answer to a transaction."""

    ends: dict[str, int]
    """The offset behind the last record, by topic."""
    at_ms: int
    """The brokers' time of its latest record."""


class ChangelogWriter:
    """The transactional producer of one facts partition; its start fences the former owner's producer."""

    def __init__(self, kafka: KafkaClients, transactional_id: str, partition: int) -> None:
        self._producer = kafka.transactional_producer(
            transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=FACT_LIMIT_BYTES,
            max_request_size=2 * FACT_LIMIT_BYTES,
            request_timeout_ms=10_000,
        )
        self._partition = partition

    async def start(self) -> None:
        """Fence the former producer with this transactional id, and abort its open transaction."""
        await self._producer.start()

    async def commit(self, writes: Mapping[str, Entries]) -> Committed:
        """Write changes, by changelog topic, in one transaction, each topic's in their order."""
        await self._producer.begin_transaction()
        sent: list[tuple[str, Sent]] = []
        for topic, entries in writes.items():
            parts = await send_entries(self._producer, topic, self._partition, entries.items())
            sent += [(topic, part) for part in parts]
        done = await acknowledged([part.future for _, part in sent])
        ends = {topic: at.offset + part.records for (topic, part), at in zip(sent, done, strict=True)}
        await self._producer.commit_transaction()
        return Committed(ends, max((at.timestamp or 0 for at in done), default=0))

    async def close(self) -> None:
        """Close the connections. Raises TimeoutError if the broker is unavailable."""
        await asyncio.wait_for(self._producer.stop(), CLOSE_SECONDS)
