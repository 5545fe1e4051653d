"""Appending facts to the facts log: idempotent, without transactions, acknowledged."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

from tally.schemas.facts import Keyed, head
from tally.schemas.keys import partition_of
from tally.schemas.topics import FACT_LIMIT_BYTES
from tally.tables.families.family import packed
from tally.tables.producing import Sent, send_entries, settle

DELIVERY_TIMEOUT_MS = 60_000
"""How long the client goes on trying while the broker is away; then the process ends."""

Entry = tuple[bytes, bytes]


def by_partition(facts: Iterable[tuple[Keyed, int]], partitions: int) -> dict[int, list[Entry]]:
    """Encode facts with their raw events' Kafka times; return records by partition. Pure."""
    grouped: dict[int, list[Entry]] = defaultdict(list)
    for (family, key, fact), raw_at_ms in facts:
        grouped[partition_of(key, partitions)].append((key, head(family, raw_at_ms) + packed(fact)))
    return grouped


class FactsLog:
    """The producer of one process. No transactions, so that the log's offsets are dense."""

    def __init__(self, kafka: dict[str, Any], topic: str) -> None:
        self._topic = topic
        self._producer = AIOKafkaProducer(
            **kafka,
            enable_idempotence=True,
            acks="all",
            max_batch_size=FACT_LIMIT_BYTES // 2,
            request_timeout_ms=DELIVERY_TIMEOUT_MS,
        )
        self.partitions = 0

    async def start(self) -> None:
        """Connect, and learn how many partitions the log has."""
        await self._producer.start()
        self.partitions = len(await self._producer.partitions_for(self._topic))

    async def append(self, facts: Iterable[tuple[Keyed, int]]) -> None:
        """Append facts and wait until the brokers have them. Raises KafkaError when they do not."""
        sent: list[Sent] = []
        for partition, entries in by_partition(facts, self.partitions).items():
            sent += await send_entries(self._producer, self._topic, partition, entries)
        await settle([part.future for part in sent])

    async def close(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()
