"""Reads of a log only the records under one key that end a batch: a tenth of the cost of all its records.

A transaction's last record is the last of its batch, and so is what compaction leaves of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from aiokafka.record.util import decode_varint

from tally.tables.kafka.leniently import Record, leniently

HEAD_BYTES = 61
COUNT_AT = 57
FIELDS_BYTES = 24
"""A record's length, attributes, times and offset, and its key's length, are at most so long."""

TRIES = 4

_AWAITED: ContextVar[bytes | None] = ContextVar("awaited", default=None)


@contextmanager
def only(key: bytes) -> Iterator[None]:
    """Let consumers that are started within read only records that end a batch and have this key."""
    token = _AWAITED.set(key)
    try:
        yield
    finally:
        _AWAITED.reset(token)


def awaited() -> bytes | None:
    """Return the key that this consumer waits for; None where it reads everything."""
    return _AWAITED.get()


def last_record(part: memoryview, key: bytes) -> list[Record]:
    """Return the last record of an uncompressed batch if it has this key, else nothing. Pure."""
    data = bytes(part)
    at = len(data)
    for _ in range(TRIES):
        at = data.rfind(key, HEAD_BYTES, at)
        if at < 0:
            return []
        for start in range(max(HEAD_BYTES, at - FIELDS_BYTES), at):
            if _is_record(part, start, at, len(key)):
                # A batch of this record alone.
                return leniently(memoryview(data[:COUNT_AT] + (1).to_bytes(4, "big") + data[start:]))
    # The values are full of what looks like the key.
    return [record for record in leniently(part)[-1:] if record.key == key]


def _is_record(part: memoryview, start: int, key_at: int, key_bytes: int) -> bool:
    """Return whether a record begins here, reaches to the end of the batch, and has its key there."""
    try:
        size, at = decode_varint(part, start)
        if at + size != len(part):
            return False
        _, at = decode_varint(part, at)
        _, at = decode_varint(part, at)
        _, at = decode_varint(part, at)
        size, at = decode_varint(part, at)
    except (IndexError, ValueError):
        return False
    return bool(at == key_at and size == key_bytes)
