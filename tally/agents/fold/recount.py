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

    A row that nothing contributes to any more is kept as zeros: rows are never deleted in a generation.
    Spans and labels only widen, so that a message that moved to another campaign leaves no correction.
    """
    corrected: dict[bytes, bytes | None] = {}
    for key in held.keys() | counted.keys():
        old = decode_row(held[key]) if key in held else None
        new = counted.get(key)
        if old is None and new is not None:
            corrected[key] = encode(new)
        elif old is not None and old.counts != (new.counts if new else {}):
            corrected[key] = encode(_widened(old, new, next_offset))
    return corrected


def _widened(old: Row, new: Row | None, next_offset: int) -> Row:
    if new is None:
        return Row(next_offset, old.first_ms, old.last_ms, old.labels, {}, old.channels)
    return Row(
        next_offset,
        min(old.first_ms, new.first_ms),
        max(old.last_ms, new.last_ms),
        sorted({*old.labels, *new.labels})[:LABELS],
        new.counts,
        sorted({*old.channels, *new.channels}),
    )
