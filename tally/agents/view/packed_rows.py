"""Packed rows: changelog values in which numbers replace the counter names that the registry lists.

Names are three quarters of a busy row. Half a million rows of 48 counts take 230 MB with numbers and 600 MB
with names; packing a row takes as long as decoding it twice. Sums over rows add by number, and name the sums.
"""

from collections.abc import Mapping

import msgspec

from tally.schemas.counters import DISTRIBUTIONS, PLAIN
from tally.schemas.rows import Row, RowHead, decode_row, encode
from tally.tables.durations import BUCKETS, NEGATIVE

NAMES: tuple[str, ...] = (
    *PLAIN,
    *(f"{name}.{entry}" for entry in (NEGATIVE, *BUCKETS) for name in DISTRIBUTIONS),
)
"""Equal in all processes of one release: they then compute equal digests of a campaign's rows."""
_NUMBERS = {name: number for number, name in enumerate(NAMES)}


class PackedRow(RowHead, array_like=True, frozen=True, gc=False):
    """A row whose counts have numbers."""

    labels: list[str]
    counts: dict[int | str, int]
    """Keyed by number, or by name where the registry does not list it; in the order of the row."""
    channels: list[str]


decode_packed = msgspec.msgpack.Decoder(PackedRow).decode


def packed(value: bytes) -> bytes:
    """Return a row's changelog value packed; it begins with the same head."""
    row = decode_row(value)
    number = _NUMBERS.get
    counts = {number(name, name): count for name, count in row.counts.items()}
    return encode(PackedRow(row.next_offset, row.first_ms, row.last_ms, row.labels, counts, row.channels))


def unpacked(value: bytes) -> Row:
    """Return the row that a packed value holds."""
    row = decode_packed(value)
    return Row(row.next_offset, row.first_ms, row.last_ms, row.labels, named(row.counts), row.channels)


def named(counts: Mapping[int | str, int]) -> dict[str, int]:
    """Return counts with names instead of numbers."""
    return {NAMES[key] if isinstance(key, int) else key: count for key, count in counts.items()}
