"""What two counts of the same rows and cells differ in. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, get_args

from msgspec import Struct

from tally.schemas.cells import (
    MINUTE_SECONDS,
    QUARTER_SECONDS,
    ActivityCell,
    Cell,
    decode_counts,
    decode_minutes,
)
from tally.schemas.grains import RowKey
from tally.schemas.tables import ACTIVITY, CELLS

Source = Literal["states", "cells", "lines", "postgres", "view", "raw"]
SOURCES: tuple[Source, ...] = get_args(Source)
Counts = Mapping[str, int]


class Counted(Struct, frozen=True):
    """One count of a partition."""

    rows: Mapping[bytes, Counts]
    cells: Mapping[str, Mapping[bytes, bytes]]
    """By table and key, as they are stored."""


class Drift(Struct, frozen=True):
    """One counter of one row, or of one of its cells, that is not what a second count says."""

    source: Source
    """Who says otherwise."""
    partition: int | None
    """None where the number is a sum over all partitions, as the view's are."""
    row: RowKey
    counter: str
    held: int
    counted: int
    cell: str = ""
    """Which cell; empty of the row itself."""


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


def drift_of_all(source: Source, partition: int, held: Counted, counted: Counted) -> Iterator[Drift]:
    """Yield every counter of a row, a cell or an activity cell that differs."""
    yield from drift(source, partition, held.rows, counted.rows)
    for table in (CELLS, ACTIVITY):
        ours, theirs = held.cells[table], counted.cells[table]
        for key in sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)):
            left, right = (_counts_of(table, key, side.get(key)) for side in (ours, theirs))
            for row, cell, name in sorted(left.keys() | right.keys(), key=repr):
                mine, other = left.get((row, cell, name), 0), right.get((row, cell, name), 0)
                if mine != other:
                    yield Drift(source, partition, row, name, mine, other, cell)


def _counts_of(table: str, key: bytes, value: bytes | None) -> dict[tuple[RowKey, str, str], int]:
    """Return what a cell counts by row, cell and counter; activity by the minute."""
    if value is None:
        return {}
    if table == CELLS:
        cell = Cell.decode(key)
        shown = _shown(table, cell.number, cell.market, cell.quarter * QUARTER_SECONDS)
        return {(cell.row, shown, name): n for name, n in decode_counts(value).items()}
    at = ActivityCell.decode(key)
    row = RowKey(at.tenant, at.campaign, None)
    return {
        (
            row,
            _shown(table, at.number, at.queue, at.quarter * QUARTER_SECONDS + minute * MINUTE_SECONDS),
            name,
        ): n
        for name, minutes in decode_minutes(value).items()
        for minute, n in minutes.items()
    }


def _shown(table: str, number: str, second: str, at_s: int) -> str:
    """Return how a cell is shown: its number, its market or queue, and when it begins."""
    begins = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%MZ")
    return " ".join((table, number or "-", second or "-", begins))


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
