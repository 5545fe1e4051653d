"""The registry of a partition's tables, and the keys that they have in the changelog of states. Pure."""

from collections.abc import Mapping
from typing import Final

from tally.schemas.topics import COUNTERS

ALIASES: Final = "aliases"
"""By family and identifier: the key of the subject that it belongs to."""
RESYNCS: Final = "resyncs"
"""By family and scope (a PBX): the latest moment before which whatever was not heard of again is over."""
OPEN: Final = "open"
"""By family and subject: those that a resync may still find missing."""
INCOMPLETE: Final = "incomplete"
"""By family and subject: why it lacks facts, and whose numbers lack it."""
CELLS: Final = "cells"
"""The counts of each send cell and each operator cell (schemas/cells.py)."""
ACTIVITY: Final = "activity"
"""The counts of each activity cell."""

CODES: Mapping[str, bytes] = {
    "messages": b"m",
    "recipients": b"r",
    "customers": b"c",
    "calls": b"v",
    "operators": b"o",
    "descriptions": b"d",
    ALIASES: b"a",
    RESYNCS: b"s",
    OPEN: b"p",
    INCOMPLETE: b"i",
    CELLS: b"e",
    ACTIVITY: b"y",
    COUNTERS: b"#",
}
"""By table: the byte before its keys. No byte is ever given again, not even that of a table that is gone.

A family's table has the family's own byte. Keys of counters have theirs in the local copy alone: rows have a
changelog of their own.
"""
_TABLES = {code: table for table, code in CODES.items() if table != COUNTERS}


def table_of(key: bytes) -> str | None:
    """Return the table of a key in the changelog of states; None for progress and for what is not ours."""
    return _TABLES.get(key[:1])
