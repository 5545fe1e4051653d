"""Dead letters: records that cannot be counted, with their original bytes, their origin and the reason."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from tally.schemas.bounds import KIB, LETTER_END, LETTER_KEY, RECORD
from tally.schemas.errors import Reason
from tally.schemas.kept import Kept, kept
from tally.schemas.records import Routed
from tally.schemas.topics import DEAD_LETTER_LIMIT_BYTES
from tally.tables.kafka.batches import Headers, Sent, acknowledged, send_entries
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.delivered import Delivered
from tally.tables.kafka.facts_log import DELIVERY_TIMEOUT_MS
from tally.tables.kafka.unread import Unread

MAX_DETAIL = 4_000
OWN = "own:"
"""Begins the names of the record's own headers; without them an AMI event is of no PBX."""
OWN_BYTES = 16 * KIB
"""Characters of names and bytes of values; of a record that has more in its headers, none are kept."""
WITHOUT_OWN = "without_headers"
"""Says that the record had headers that are not kept."""
DETAILED_PARTS = 20
"""How many bad parts a detail names; each with what was expected has 200 characters at most."""
REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError)
"""Errors of brokers that refuse a batch for its size; they may accept a smaller one."""
BATCH_BYTES = DEAD_LETTER_LIMIT_BYTES // 10
"""Smaller than the largest record: a large record gets its own batch, and small ones share one."""


OwnHeaders = Iterable[tuple[str, bytes | None]]


class DeadLetter(NamedTuple):
    """A record that cannot be counted, where it came from, and why."""

    topic: str
    partition: int
    record: Delivered
    reason: Reason
    detail: str
    headers: OwnHeaders = ()
    """The record's own."""

    @property
    def value(self) -> bytes:
        """The original bytes, as far as the client has them; empty for a tombstone."""
        return self.record.value or b""

    def kept(self, size: "Size") -> Kept:
        """Return the part of the value that is kept at this size."""
        if isinstance(self.record, Unread):
            before = self.record.kept
            smaller = kept(before.data, size.whole_bytes, size.end_bytes)
            # The ends of kept ends are ends of the original; size and digest stay the original's.
            return Kept(smaller.data, before.size_bytes, before.sha256 or smaller.sha256)
        return kept(self.value, size.whole_bytes, size.end_bytes)

    @property
    def key(self) -> bytes | None:
        """The record's key, or the first bytes of a long one."""
        key = self.record.key
        return None if key is None else key[: LETTER_KEY.most]


class Size(NamedTuple):
    """How large a dead letter's value may be."""

    whole_bytes: int
    """A value up to this size is kept whole."""
    end_bytes: int
    """A longer value keeps this many bytes at each end."""


SIZES = (
    Size(RECORD.most, LETTER_END.most),
    *(Size(0, end_bytes) for end_bytes in (LETTER_END.most, 4 * KIB, 256, 0)),
)
"""The sizes to try in turn when brokers refuse a letter for its size."""


def headers_of(letter: DeadLetter, found: Kept, at_ms: int) -> Headers:
    """Return a dead letter's headers; (topic, partition, offset) are its origin. Pure.

    Where the value was shortened, `size` and `sha256` are those of the original bytes.
    """
    headers: Headers = [
        ("reason", letter.reason.encode()),
        ("detail", letter.detail[:MAX_DETAIL].encode(errors="backslashreplace")),
        ("topic", letter.topic.encode()),
        ("partition", b"%d" % letter.partition),
        ("offset", b"%d" % letter.record.offset),
        ("at", b"%d" % at_ms),
    ]
    if not found.is_whole:
        headers += [("size", b"%d" % found.size_bytes), ("sha256", found.sha256.encode())]
    own = [(OWN + name, value) for name, value in letter.headers]
    if sum(len(name) + len(value or b"") for name, value in own) > OWN_BYTES:
        return [*headers, (WITHOUT_OWN, b"1")]
    return headers + own


def detail_of(routed: Routed) -> str:
    """Return a record's first bad parts, what was expected there, and how many others there are. Pure.

    It never holds a value of the record.
    """
    named = routed.bad[:DETAILED_PARTS]
    more = routed.refused - len(named)
    listed = "; ".join(map(str, named))
    return listed if more <= 0 else f"{listed}; and {more} more"


class DeadLetters:
    """The dead-letter producer of one process.

    It is not idempotent: an idempotent producer cannot continue after the brokers refused a batch. A letter
    that is written twice is listed once.
    """

    def __init__(self, kafka: KafkaClients, topic: str, now_ms: Callable[[], int]) -> None:
        self._topic = topic
        self._now_ms = now_ms
        self._producer = kafka.producer(
            is_idempotent=False,
            max_batch_size=BATCH_BYTES,
            max_request_size=DEAD_LETTER_LIMIT_BYTES,
            request_timeout_ms=DELIVERY_TIMEOUT_MS,
        )
        self._partitions = 0

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()
        self._partitions = len(await self._producer.partitions_for(self._topic))

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Write dead letters, and wait until the brokers have acknowledged all of them. Raises KafkaError.

        If the brokers refuse a batch for its size, each letter is written alone, at ever smaller sizes.
        """
        grouped: defaultdict[int, list[DeadLetter]] = defaultdict(list)
        for letter in letters:
            grouped[crc32(letter.key or letter.value) % self._partitions].append(letter)
        await acknowledged([asyncio.ensure_future(self._write(*one)) for one in grouped.items()])

    async def _write(self, partition: int, letters: Sequence[DeadLetter]) -> None:
        try:
            await self._send(partition, letters, SIZES[0])
        except REFUSED:
            for letter in letters:
                await self._write_one(partition, letter)

    async def _write_one(self, partition: int, letter: DeadLetter) -> None:
        *sizes, smallest = SIZES
        for size in sizes:
            try:
                return await self._send(partition, [letter], size)
            except REFUSED:
                continue
        return await self._send(partition, [letter], smallest)

    async def _send(self, partition: int, letters: Sequence[DeadLetter], size: Size) -> None:
        at_ms = self._now_ms()
        found = [letter.kept(size) for letter in letters]
        sent: list[Sent] = await send_entries(
            self._producer,
            self._topic,
            partition,
            [(letter.key, one.data) for letter, one in zip(letters, found, strict=True)],
            [headers_of(letter, one, at_ms) for letter, one in zip(letters, found, strict=True)],
        )
        await acknowledged([part.future for part in sent])

    async def close(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()
