"""Rows and cells: moved by the changes of a batch, and recounted from the states of a partition. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from tally.agents.fold.steps import chunks
from tally.schemas.cells import (
    NO_QUARTER,
    Minutes,
    decode_counts,
    decode_minutes,
    encode_counts,
    encode_minutes,
)
from tally.schemas.counters import COUNTERS as COUNTERS_DECLARED
from tally.schemas.rows import LABELS, Row, decode_row, encode
from tally.schemas.tables import ACTIVITY, CELLS
from tally.schemas.topics import COUNTERS
from tally.tables.contribution import Change, Changes, OfMinute
from tally.tables.families.family import Family, Listing
from tally.tables.pieces import Steps
from tally.tables.rules import Rules
from tally.tables.store.interface import Entries, StateReader, Writes

Deltas = Mapping[str, int]
MinuteDeltas = Mapping[OfMinute, int]
LIVE = tuple(f"{counter.name}." for counter in COUNTERS_DECLARED if counter.is_live)
"""What the names of live counters begin with: rows of operators have them, and no cells."""


class BrokenSum(Exception):
    """A counter fell below zero: it was not the sum of its states' contributions. A defect of ours."""


def moved_rows(changes: Changes, reader: StateReader, next_offset: int) -> Steps[Entries]:
    """Return the new values of the rows that a batch changes, by row key, one row a step."""
    moved: Entries = {}
    for some in chunks((row.encode(), change) for row, change in changes.rows().items()):
        olds = reader.get_many(COUNTERS, [key for key, _ in some])
        for (key, change), old in zip(some, olds, strict=True):
            row = move(None if old is None else decode_row(old), change, next_offset)
            if row is not None:
                moved[key] = encode(row)
            yield
    return moved


def moved_cells(changes: Changes, reader: StateReader) -> Steps[Writes]:
    """Return the new values of the cells that a batch changes, by table and key, some cells a step.

    A cell that comes to nothing is deleted, unlike a row.
    """
    return {
        CELLS: (yield from _moved(CELLS, _cells_of(changes), reader)),
        ACTIVITY: (yield from _moved_activity(changes, reader)),
    }


def _cells_of(changes: Changes) -> Iterable[tuple[bytes, Deltas]]:
    for cell, change in changes.cells.items():
        deltas: Deltas = change.counts
        if not cell.row.campaign:
            deltas = {name: delta for name, delta in deltas.items() if not name.startswith(LIVE)}
        if cell.quarter != NO_QUARTER and any(deltas.values()):
            yield cell.encode(), deltas


def _activity_of(changes: Changes) -> Iterable[tuple[bytes, MinuteDeltas]]:
    for cell, deltas in changes.activity.items():
        if any(deltas.values()):
            yield cell.encode(), deltas


def _moved(table: str, deltas_of: Iterable[tuple[bytes, Deltas]], reader: StateReader) -> Steps[Entries]:
    moved: Entries = {}
    for some in chunks(deltas_of):
        olds = reader.get_many(table, [key for key, _ in some])
        for (key, deltas), old in zip(some, olds, strict=True):
            counts = _moved_counts({} if old is None else decode_counts(old), deltas)
            moved[key] = encode_counts(counts) if counts else None
        yield
    return moved


def _moved_activity(changes: Changes, reader: StateReader) -> Steps[Entries]:
    moved: Entries = {}
    for some in chunks(_activity_of(changes)):
        olds = reader.get_many(ACTIVITY, [key for key, _ in some])
        for (key, deltas), old in zip(some, olds, strict=True):
            minutes = _moved_minutes({} if old is None else decode_minutes(old), deltas)
            moved[key] = encode_minutes(minutes) if minutes else None
        yield
    return moved


def _moved_minutes(minutes: Minutes, deltas: MinuteDeltas) -> Minutes:
    """Return the counts of an activity cell after a change; those given are changed."""
    has_other_keys = False
    for (name, minute), delta in deltas.items():
        counts = minutes.setdefault(name, {})
        count = counts.get(minute, 0) + delta
        if count < 0:
            raise BrokenSum(name)
        has_other_keys = has_other_keys or not count or minute not in counts
        counts[minute] = count
    if not has_other_keys:
        return minutes
    filled = (
        (name, {at: counts[at] for at in sorted(counts) if counts[at]}) for name, counts in minutes.items()
    )
    return {name: counts for name, counts in sorted(filled) if counts}


def move(row: Row | None, change: Change, next_offset: int) -> Row | None:
    """Return the row after a change, or None where the change leaves it as it is."""
    if row is None:
        return Row(
            next_offset,
            change.first_ms,
            change.last_ms,
            sorted(change.labels)[:LABELS],
            _moved_counts({}, change.counts),
            sorted(change.channels),
        )
    first_ms, last_ms = min(row.first_ms, change.first_ms), max(row.last_ms, change.last_ms)
    labels, channels = _with(row.labels, change.labels)[:LABELS], _with(row.channels, change.channels)
    described = (first_ms, last_ms, labels, channels)
    if not any(change.counts.values()) and described == (row.first_ms, row.last_ms, row.labels, row.channels):
        return None
    return Row(next_offset, first_ms, last_ms, labels, _moved_counts(row.counts, change.counts), channels)


def _with(known: list[str], more: set[str]) -> list[str]:
    return known if more.issubset(known) else sorted({*known, *more})


def _moved_counts(counts: dict[str, int], deltas: Deltas) -> dict[str, int]:
    moved, has_other_names = dict(counts), False
    for name, delta in deltas.items():
        count = moved.get(name, 0) + delta
        if count < 0:
            raise BrokenSum(name)
        has_other_names = has_other_names or not count or name not in moved
        moved[name] = count
    return {name: moved[name] for name in sorted(moved) if moved[name]} if has_other_names else moved


class Recounted(Struct, frozen=True):
    """What all states of a partition come to."""

    rows: dict[bytes, Row]
    cells: dict[str, dict[bytes, bytes]]
    """By table and key, as they are stored."""
    listed: dict[bytes, bytes]
    """The records that stand beside the rows."""


def recount(
    states: Iterable[tuple[Family[Any, Any], bytes, bytes]], rules: Rules, next_offset: int
) -> Recounted:
    """Return every row and cell as the sum of the contributions of (family, key, encoded state)."""
    changes = Changes()
    listed: dict[bytes, bytes] = {}
    for family, key, value in states:
        state = family.decode(value)
        changes.move((), family.contribution(key, state, rules))
        if isinstance(family, Listing):
            listed |= family.listed(key, state)
    rows = {key.encode(): move(None, change, next_offset) for key, change in changes.rows().items()}
    return Recounted(
        {key: row for key, row in rows.items() if row is not None},
        {
            CELLS: {key: encode_counts(_moved_counts({}, counts)) for key, counts in _cells_of(changes)},
            ACTIVITY: {key: encode_minutes(_moved_minutes({}, its)) for key, its in _activity_of(changes)},
        },
        listed,
    )


def corrections(
    held: Mapping[bytes, bytes], counted: Mapping[bytes, Row], next_offset: int
) -> dict[bytes, bytes | None]:
    """Return the rows to write so that the held rows equal the counted ones.

    A row without contributions is kept without counts, at its first time: rows are never deleted within a
    generation. Folding only widens a row's span, even where a message moves to another campaign; a recount
    narrows it to the time of what is counted. Labels only widen.
    """
    corrected: dict[bytes, bytes | None] = {}
    for key in held.keys() | counted.keys():
        old = decode_row(held[key]) if key in held else None
        new = counted.get(key)
        if old is None and new is not None:
            corrected[key] = encode(new)
        elif old is not None and (row := _counted_anew(old, new, next_offset)) != old:
            corrected[key] = encode(row)
    return corrected


def cell_corrections(held: Mapping[bytes, bytes], counted: Mapping[bytes, bytes]) -> Entries:
    """Return the cells of one table to write so that the held ones equal the counted ones."""
    gone = dict.fromkeys(held.keys() - counted.keys())
    return gone | {key: value for key, value in counted.items() if held.get(key) != value}


def _counted_anew(old: Row, new: Row | None, next_offset: int) -> Row:
    """Return the row as counted; the held row itself where it is equal."""
    if new is None:
        return (
            Row(next_offset, old.first_ms, old.first_ms, old.labels, {}, old.channels) if old.counts else old
        )
    if (old.first_ms, old.last_ms, old.counts) == (new.first_ms, new.last_ms, new.counts):
        return old
    return Row(
        next_offset,
        new.first_ms,
        new.last_ms,
        sorted({*old.labels, *new.labels})[:LABELS],
        new.counts,
        sorted({*old.channels, *new.channels}),
    )
