"""Rows: moved by the changes of a batch, and recounted from the states of a partition. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tally.agents.fold.steps import chunks
from tally.schemas.rows import LABELS, Row, decode_row, encode
from tally.schemas.topics import COUNTERS
from tally.tables.contribution import Change, Changes
from tally.tables.families.family import Family
from tally.tables.pieces import Steps
from tally.tables.rules import Rules
from tally.tables.store.interface import StateReader


class BrokenSum(Exception):
    """A counter fell below zero: the row was not the sum of its states' contributions. A defect of ours."""


def moved_rows(changes: Changes, reader: StateReader, next_offset: int) -> Steps[dict[bytes, bytes | None]]:
    """Return the new values of the rows that a batch changes, by row key, one row a step."""
    moved: dict[bytes, bytes | None] = {}
    for some in chunks((row.encode(), change) for row, change in changes.items()):
        olds = reader.get_many(COUNTERS, [key for key, _ in some])
        for (key, change), old in zip(some, olds, strict=True):
            row = move(None if old is None else decode_row(old), change, next_offset)
            if row is not None:
                moved[key] = encode(row)
            yield
    return moved


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


def _moved_counts(counts: dict[str, int], deltas: dict[str, int]) -> dict[str, int]:
    moved, has_other_names = dict(counts), False
    for name, delta in deltas.items():
        count = moved.get(name, 0) + delta
        if count < 0:
            raise BrokenSum(name)
        has_other_names = has_other_names or not count or name not in moved
        moved[name] = count
    return {name: moved[name] for name in sorted(moved) if moved[name]} if has_other_names else moved


def recount(
    states: Iterable[tuple[Family[Any, Any], bytes, bytes]], rules: Rules, next_offset: int
) -> dict[bytes, Row]:
    """Return every row as the sum of the contributions of (family, key, encoded state)."""
    changes = Changes()
    for family, key, value in states:
        changes.move((), family.contribution(key, family.decode(value), rules))
    rows = {key: move(None, change, next_offset) for key, change in changes.items()}
    return {key.encode(): row for key, row in rows.items() if row is not None}


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
