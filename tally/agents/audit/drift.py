"""What two counts of the same rows differ in. Pure."""

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from msgspec import Struct

from tally.schemas.grains import RowKey

Source = Literal["states", "cells", "postgres", "view", "raw"]
SOURCES: tuple[Source, ...] = get_args(Source)
Counts = Mapping[str, int]


class Drift(Struct, frozen=True):
    """One counter of one row that is not what a second count says."""

    source: Source
    """Who says otherwise."""
    partition: int | None
    """None where the number is a sum over all partitions, as the view's are."""
    row: RowKey
    counter: str
    held: int
    counted: int


def drift(
    source: Source, partition: int | None, held: Mapping[bytes, Counts], counted: Mapping[bytes, Counts]
) -> Iterator[Drift]:
    """Yield every counter that differs; what one side lacks, or has as zero, is zero."""
    for key in sorted(held.keys() | counted.keys()):
        ours, theirs = held.get(key, {}), counted.get(key, {})
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name, 0) != theirs.get(name, 0):
                row = RowKey.decode(key)
                yield Drift(source, partition, row, name, ours.get(name, 0), theirs.get(name, 0))


def comparable(
    held: Mapping[bytes, tuple[int, Counts]], stored: Mapping[bytes, tuple[int, Counts]]
) -> tuple[dict[bytes, Counts], dict[bytes, Counts], int]:
    """Return the rows of both sides that are of one moment, and how many Postgres has not been sent yet.

    A row is (next offset, counts). A newer one in Postgres came after the copy was made; a row that
    only Postgres has is drift, since rows are never deleted within a generation.
    """
    behind = {key for key, (at, _) in held.items() if key not in stored or stored[key][0] < at}
    newer = {key for key, (at, _) in stored.items() if key in held and held[key][0] < at}
    left_out = behind | newer
    return (
        {key: counts for key, (_, counts) in held.items() if key not in left_out},
        {key: counts for key, (_, counts) in stored.items() if key not in left_out},
        len(behind),
    )
