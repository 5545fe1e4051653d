"""Cuts a pass of route into short steps, by sizes alone. Pure."""

from collections.abc import Iterator, Sequence
from itertools import islice

from tally.schemas.bounds import KIB
from tally.schemas.records import Keyed, Origin
from tally.schemas.scan import elements
from tally.tables.kafka.delivered import RawRecord

PIECE_RECORDS = 128
PIECE_BYTES = 32 * KIB
"""Bounds of what one step reads: 1 ms of CPU for events, 27 ms for the worst garbage, `{},{},…`."""
LONG_BYTES, LONG_ELEMENTS = 256 * KIB, 8_000
"""Beyond either, a record is read in a thread: CPU grows with its elements, up to some 2.5 us for each."""
PORTION_FACTS = 2_000
"""Facts that one step encodes, in some 5 ms; a single record may hold a hundred thousand statuses."""

Event = tuple[list[Keyed], Origin]
"""The facts of one raw event, and its origin."""


def is_long(record: RawRecord) -> bool:
    """Return whether a single record is too long for one step."""
    value = record.value or b""
    return len(value) > PIECE_BYTES and (len(value) > LONG_BYTES or elements(value) > LONG_ELEMENTS)


def pieces(records: Sequence[RawRecord]) -> Iterator[Sequence[RawRecord]]:
    """Yield consecutive records in pieces bounded by number and bytes; a long record is a piece by itself."""
    for first in range(0, len(records), PIECE_RECORDS):
        some = records[first : first + PIECE_RECORDS]
        if sum(map(_size, some)) <= PIECE_BYTES:
            yield some
        else:
            yield from _by_bytes(some)


def _by_bytes(records: Sequence[RawRecord]) -> Iterator[Sequence[RawRecord]]:
    piece: list[RawRecord] = []
    size = 0
    for record in records:
        size += _size(record)
        if piece and size > PIECE_BYTES:
            yield piece
            piece, size = [], _size(record)
        piece.append(record)
    if piece:
        yield piece


def portions(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Yield the facts of a piece in portions of `PORTION_FACTS` at most."""
    if sum(len(facts) for facts, _ in events) <= PORTION_FACTS:
        yield events
        return
    for facts, origin in events:
        rest = iter(facts)
        while some := list(islice(rest, PORTION_FACTS)):
            yield [(some, origin)]


def _size(record: RawRecord) -> int:
    return len(record.value or b"")
