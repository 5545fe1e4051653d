"""Recounting a partition's rows from its states: after a change of rules, and as an audit. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tally.agents.fold.rows import move
from tally.schemas.rows import LABELS, Row, decode_row, encode
from tally.tables.contribution import Changes
from tally.tables.families.family import Family
from tally.tables.rules import Rules


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
    """Return the rows that have to be written so that what is held equals what was counted.

    A row that nothing contributes to any more is kept as zeros, at its first time: rows are never deleted in
    a generation. A span is that of what is counted: folding only widens it, so that a message that moved to
    another campaign leaves the row's span as it was, and a recount narrows it. Labels only widen.
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
    """Return the row as it was counted, or as it is held where that is the same."""
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
