"""A reader of records that the client's own reader fails on, or needs too much memory for. Pure.

Brokers accept two things that the client does not cope with: a header name that is not UTF-8, which raises,
and millions of headers in one record, each of which becomes some hundred bytes of objects.
"""

import struct
from typing import Any

from aiokafka.record.util import decode_varint
from msgspec import Struct

from tally.schemas.bounds import HEADERS

HEAD = struct.Struct(">qiibIhiqqqhii")
APPEND_TIME_BIT = 0x08


class Record(Struct):
    """A record, with the attributes of the client's own records."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def longest(body: memoryview, count: int) -> int:
    """Return the size of the longest record. Raises IndexError, ValueError."""
    most, at = 0, 0
    for _ in range(count):
        size, at = decode_varint(body, at)
        if size < 0:
            raise ValueError(f"a record of {size} bytes")
        most, at = max(most, size), at + size
    return most


def leniently(part: memoryview) -> list[Any]:
    """Return the records of an uncompressed batch. Raises IndexError, ValueError.

    Each record has its first headers, up to the bound. In their names, bytes that are not UTF-8 are replaced.
    """
    base, _, _, _, _, attributes, _, first_ms, last_ms, _, _, _, count = HEAD.unpack_from(part)
    appended = bool(attributes & APPEND_TIME_BIT)
    records, body, at = [], part[HEAD.size :], 0
    for _ in range(count):
        size, at = decode_varint(body, at)
        end = at + size
        if not at <= end <= len(body):
            raise ValueError(f"a record of {size} bytes")
        _, at = decode_varint(body, at)
        delta_ms, at = decode_varint(body, at)
        delta, at = decode_varint(body, at)
        key, at = _bytes(body, at, end)
        value, at = _bytes(body, at, end)
        at_ms = last_ms if appended else first_ms + delta_ms
        records.append(Record(base + delta, at_ms, int(appended), key, value, _headers(body, at, end)))
        at = end
    return records


def _headers(body: memoryview, at: int, end: int) -> list[tuple[str, bytes | None]]:
    count, at = decode_varint(body, at)
    headers = []
    for _ in range(min(count, HEADERS.most)):
        name, at = _bytes(body, at, end)
        value, at = _bytes(body, at, end)
        headers.append(((name or b"").decode(errors="replace"), value))
    return headers


def _bytes(body: memoryview, at: int, end: int) -> tuple[bytes | None, int]:
    size, at = decode_varint(body, at)
    if size < 0:
        return None, at
    if at + size > end:
        raise ValueError(f"{size} bytes in a record that has fewer")
    return bytes(body[at : at + size]), at + size
