"""Rows as the view keeps them: their changelog's bytes with numbers for the names that the registry knows.

Three quarters of a busy row are names of counts. Half a million rows of 48 counts take 230 MB with numbers
for them, and 600 MB without; packing one takes as long as decoding it twice.
"""

import msgspec

from tally.schemas.counters import DISTRIBUTIONS, PLAIN
from tally.schemas.rows import Row, RowHead, decode_row, encode
from tally.tables.durations import BUCKETS, NEGATIVE

NAMES: tuple[str, ...] = (
    *PLAIN,
    *(f"{name}.{entry}" for entry in (NEGATIVE, *BUCKETS) for name in DISTRIBUTIONS),
)
"""The same in all processes of one version, so that they name a campaign's rows by the same version."""
_NUMBERS = {name: number for number, name in enumerate(NAMES)}


class _Packed(RowHead, array_like=True, frozen=True, gc=False):
    labels: list[str]
    counts: dict[int | str, int]
    """By number or, where the registry does not list it, by name; in the row's own order."""
    channels: list[str]


_decode = msgspec.msgpack.Decoder(_Packed).decode


def packed(value: bytes) -> bytes:
    """Return a row's changelog value as it is kept; it begins with the same head."""
    row = decode_row(value)
    number = _NUMBERS.get
    counts = {number(name, name): count for name, count in row.counts.items()}
    return encode(_Packed(row.next_offset, row.first_ms, row.last_ms, row.labels, counts, row.channels))


def unpacked(value: bytes) -> Row:
    """Return a row that is kept."""
    row = _decode(value)
    counts = {NAMES[key] if isinstance(key, int) else key: count for key, count in row.counts.items()}
    return Row(row.next_offset, row.first_ms, row.last_ms, row.labels, counts, row.channels)
