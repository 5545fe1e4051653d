"""Keeping what cannot be counted: original bytes, where they came from, and why."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from zlib import crc32

from aiokafka import AIOKafkaProducer

from tally.schemas.errors import Bad, Reason
from tally.schemas.topics import DEAD_LETTER_LIMIT_BYTES
from tally.tables.facts_log import DELIVERY_TIMEOUT_MS

MAX_DETAIL = 1_000
Headers = list[tuple[str, bytes]]


class Origin(Protocol):
    """A record as Kafka delivered it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def headers_of(record: Origin, reason: Reason, detail: str, at_ms: int) -> Headers:
    """Return a dead letter's headers; (topic, partition, offset) tell its origin. Pure."""
    fields = {
        "reason": reason,
        "detail": detail[:MAX_DETAIL],
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "at": str(at_ms),
    }
    return [(name, value.encode()) for name, value in fields.items()]


def detail_of(bad: Sequence[Bad]) -> str:
    """Return the paths of all bad parts of one record; never their values. Pure."""
    return "; ".join(map(str, bad))


class DeadLetters:
    """The producer of dead letters of one process."""

    def __init__(self, kafka: dict[str, Any], topic: str, now_ms: Callable[[], int]) -> None:
        self._topic = topic
        self._now_ms = now_ms
        self._producer = AIOKafkaProducer(
            **kafka,
            enable_idempotence=True,
            acks="all",
            max_request_size=DEAD_LETTER_LIMIT_BYTES,
            request_timeout_ms=DELIVERY_TIMEOUT_MS,
        )
        self._partitions = 0

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()
        self._partitions = len(await self._producer.partitions_for(self._topic))

    async def keep(self, record: Origin, reason: Reason, detail: str) -> None:
        """Write one dead letter and wait until the brokers have it. A tombstone is kept as no bytes."""
        value = record.value or b""
        await self._producer.send_and_wait(
            self._topic,
            key=record.key,
            value=value,
            partition=crc32(record.key or value) % self._partitions,
            headers=headers_of(record, reason, detail, self._now_ms()),
        )

    async def close(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()
