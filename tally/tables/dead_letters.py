"""Keeping what cannot be counted: original bytes, where they came from, and why."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from aiokafka import AIOKafkaProducer

from tally.schemas.errors import Bad, Reason
from tally.schemas.topics import DEAD_LETTER_LIMIT_BYTES
from tally.tables.facts_log import DELIVERY_TIMEOUT_MS
from tally.tables.producing import Headers, Sent, send_entries, settle

MAX_DETAIL = 1_000
BATCH_BYTES = DEAD_LETTER_LIMIT_BYTES // 10
"""Smaller than one record may be: a large one has a batch of its own, and many small ones share one."""


class Delivered(Protocol):
    """A record as Kafka delivered it."""

    @property
    def offset(self) -> int: ...  # noqa: D102 - Kafka's own words
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Letter(NamedTuple):
    """A record that cannot be counted, where it came from, and why."""

    topic: str
    partition: int
    record: Delivered
    reason: Reason
    detail: str

    @property
    def value(self) -> bytes:
        """The original bytes; a tombstone is kept as none."""
        return self.record.value or b""


def headers_of(letter: Letter, at_ms: int) -> Headers:
    """Return a dead letter's headers; (topic, partition, offset) tell its origin. Pure."""
    return [
        ("reason", letter.reason.encode()),
        ("detail", letter.detail[:MAX_DETAIL].encode()),
        ("topic", letter.topic.encode()),
        ("partition", b"%d" % letter.partition),
        ("offset", b"%d" % letter.record.offset),
        ("at", b"%d" % at_ms),
    ]


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
            max_batch_size=BATCH_BYTES,
            max_request_size=DEAD_LETTER_LIMIT_BYTES,
            request_timeout_ms=DELIVERY_TIMEOUT_MS,
        )
        self._partitions = 0

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()
        self._partitions = len(await self._producer.partitions_for(self._topic))

    async def keep(self, letters: Sequence[Letter]) -> None:
        """Write dead letters and wait until the brokers have all of them. Raises KafkaError."""
        grouped: defaultdict[int, list[Letter]] = defaultdict(list)
        for letter in letters:
            grouped[crc32(letter.record.key or letter.value) % self._partitions].append(letter)
        await settle([asyncio.ensure_future(self._send(*one)) for one in grouped.items()])

    async def _send(self, partition: int, letters: Sequence[Letter]) -> None:
        at_ms = self._now_ms()
        sent: list[Sent] = await send_entries(
            self._producer,
            self._topic,
            partition,
            [(letter.record.key, letter.value) for letter in letters],
            [headers_of(letter, at_ms) for letter in letters],
        )
        await settle([part.future for part in sent])

    async def close(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()
