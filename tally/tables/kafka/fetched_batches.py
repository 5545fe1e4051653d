"""Bounded unpacking of fetched batches; a batch that cannot be unpacked becomes one record, `Unread`.

It replaces the client's class `MemoryRecords`, which unpacks a batch to any size and raises at a malformed
record, so every worker that fetches the batch would end, again and again. Here the records after such a
batch are read as usual.
"""

import struct
from collections.abc import Iterator
from typing import Any, Literal

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from tally.schemas.bounds import BATCH, BATCH_RECORDS, HEADERS, MIB
from tally.schemas.errors import Bad
from tally.tables.kafka.awaited import awaited, last_record
from tally.tables.kafka.leniently import leniently, longest
from tally.tables.kafka.unpacking import TooLarge, Unpackable, unpack
from tally.tables.kafka.unread import unread

PART = struct.Struct(">qi")
"""Base offset and length, with which batches of every format begin."""
MAGIC_AT, OLD_ATTRIBUTES_AT, ATTRIBUTES_AT = 16, 17, 21
HEAD_BYTES = 61
"""The size of a batch's header; its records follow."""
EXPECTED = {
    "too_large": f"at most {BATCH_RECORDS.most} records, and {BATCH.most} {BATCH.of}",
    "bad_batch": "a batch of records that can be unpacked",
}
"""What a dead letter of a batch says, by its reason."""
CODEC_BITS, CONTROL_BIT = 0x07, 0x20
OLD_PARSED = 2
"""Brokers before 0.11 wrote formats below this one."""
RECORD_BYTES = 100
"""The memory of one record beside its bytes."""
LONG_BYTES = MIB
"""A record of at least this size may hold too many headers to make objects of all of them."""


class Budget:
    """How many bytes the compressed batches of one fetch may unpack to; the rest is fetched again."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._left_bytes = most_bytes

    def renew(self) -> None:
        """Restore the whole budget for another fetch."""
        self._left_bytes = self._most_bytes

    def spend(self, size_bytes: int) -> None:
        """Subtract the unpacked size of a batch."""
        self._left_bytes -= size_bytes

    @property
    def is_spent(self) -> bool:
        """Whether the remaining batches have to be fetched again."""
        return self._left_bytes <= 0


class Batches:
    """The batches of one partition in one fetch, in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._view = memoryview(data)
        self._at = 0
        self._awaited = awaited()
        self.budget = Budget(BATCH.most)
        """Shared by all partitions of one fetch, if the fetcher sets it so."""

    def size_in_bytes(self) -> int:
        """Return the size of all batches as fetched."""
        return len(self._data)

    def has_next(self) -> bool:
        """Return whether there is another whole batch, and the budget is not spent."""
        return self._end() is not None and not self.budget.is_spent

    def _end(self) -> int | None:
        if len(self._data) - self._at < PART.size:
            return None
        end: int = self._at + PART.size + PART.unpack_from(self._data, self._at)[1]
        return end if end <= len(self._data) else None

    def next_batch(self) -> Any:
        """Return the next batch, or None. Raises CorruptRecordException if it is too short to be one."""
        end = self._end()
        if end is None:
            return None
        part = self._view[self._at : end]
        if len(part) <= ATTRIBUTES_AT + 1:
            raise CorruptRecordException(f"a batch of {len(part)} bytes")
        self._at = end
        magic = part[MAGIC_AT]
        if magic < OLD_PARSED:
            return LegacyRecordBatch(part, magic) if not part[OLD_ATTRIBUTES_AT] & CODEC_BITS else _Old(part)
        if len(part) < HEAD_BYTES:
            raise CorruptRecordException(f"a batch of {len(part)} bytes")
        if part[ATTRIBUTES_AT + 1] & CONTROL_BIT:
            return DefaultRecordBatch(part)
        return Batch(part, self.budget, self._awaited)


class Batch:
    """One batch, with the interface that the client's fetcher expects."""

    __slots__ = (
        "_awaited",
        "_batch",
        "_budget",
        "_part",
        "base_offset",
        "is_control_batch",
        "is_transactional",
        "next_offset",
        "producer_id",
    )

    def __init__(self, part: memoryview, budget: Budget, awaited: bytes | None = None) -> None:
        batch = self._batch = DefaultRecordBatch(part)
        self._part = part
        self._budget = budget
        self._awaited = awaited
        self.base_offset: int = batch.base_offset
        self.next_offset: int = batch.next_offset
        self.producer_id: int = batch.producer_id
        self.is_transactional: bool = batch.is_transactional
        self.is_control_batch = False

    def validate_crc(self) -> bool:
        """Return whether the bytes match the batch's checksum."""
        valid: bool = self._batch.validate_crc()
        return valid

    def __iter__(self) -> Iterator[Any]:
        """Yield the batch's records, or one stand-in for all of them."""
        try:
            part = self._unpacked()
            records = _records(part) if self._awaited is None else last_record(part, self._awaited)
        except TooLarge:
            return self._unread("too_large")
        except (Unpackable, CorruptRecordException, ValueError, IndexError):
            return self._unread("bad_batch")
        if part is not self._part:
            self._budget.spend(len(part) + RECORD_BYTES * len(records))
        return iter(records)

    def _unpacked(self) -> memoryview:
        codec: int = self._batch.compression_type
        if not codec:
            return self._part
        if _count(self._part) > BATCH_RECORDS.most:
            raise TooLarge
        head = bytearray(self._part[:HEAD_BYTES])
        head[ATTRIBUTES_AT + 1] &= ~CODEC_BITS
        return memoryview(head + unpack(codec, self._part[HEAD_BYTES:], BATCH.most))

    def _unread(self, reason: Literal["too_large", "bad_batch"]) -> Iterator[Any]:
        last = self.next_offset - 1
        places = f"offset {last}" if last == self.base_offset else f"offsets {self.base_offset} to {last}"
        bad = Bad(reason, f"a batch, {places}", EXPECTED[reason])
        return iter([unread(self._part, self.base_offset, self._batch.max_timestamp, bad)])


def _count(part: memoryview) -> int:
    count: int = struct.unpack_from(">i", part, HEAD_BYTES - 4)[0]
    return count


def _records(part: memoryview) -> list[Any]:
    """Return the records of an uncompressed batch, each with at most HEADERS headers."""
    if len(part) >= LONG_BYTES and longest(part[HEAD_BYTES:], _count(part)) >= LONG_BYTES:
        return leniently(part)
    try:
        records = list(DefaultRecordBatch(part))
    except UnicodeDecodeError:  # in a header's name, which brokers do not check
        return leniently(part)
    for record in records:
        if len(record.headers) > HEADERS.most:
            del record.headers[HEADERS.most :]
    return records


class _Old:
    """A compressed batch in a format that no broker has written for years; it is not unpacked."""

    is_control_batch = is_transactional = False
    producer_id = None

    def __init__(self, part: memoryview) -> None:
        self._part = part
        self.base_offset: int = PART.unpack_from(part)[0]
        self.next_offset = self.base_offset + 1

    def validate_crc(self) -> bool:
        """Return True: nothing is read from the batch."""
        return True

    def __iter__(self) -> Iterator[Any]:
        bad = Bad("bad_batch", f"a batch, up to offset {self.base_offset}", "record batches of format 2")
        return iter([unread(self._part, self.base_offset, -1, bad)])


def bound_unpacking() -> None:
    """Make every consumer of this process unpack its batches within bounds."""
    fetcher.MemoryRecords = Batches
