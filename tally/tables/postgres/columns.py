"""Columns of rows and cells, from the registries of counters and grains, and both as records. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from tally.schemas.counters import ACTIVITY, BY_NAME, DISTRIBUTIONS, MAPS, PLAIN
from tally.schemas.grains import KEY_COLUMNS, RowKey
from tally.schemas.rows import Row

Record = dict[str, Any]

NESTED: tuple[str, ...] = (*MAPS, *DISTRIBUTIONS)
COUNTED: dict[str, str] = dict.fromkeys(PLAIN, "bigint") | dict.fromkeys(NESTED, "jsonb")
"""SQL type by column of each counter."""

KEY: dict[str, str] = dict.fromkeys(KEY_COLUMNS, "text")
"""The key columns of a row, without generation and partition, which all rows of a batch share."""

DESCRIBED: dict[str, str] = {
    "first_ms": "bigint",
    "last_ms": "bigint",
    "labels": "text[]",
    "channels": "text[]",
}
VALUES: dict[str, str] = {"next_offset": "bigint", **DESCRIBED, **COUNTED}

CELL_KEY: dict[str, str] = {**KEY, "number": "text", "market": "text", "quarter": "bigint"}
"""What names a cell, as it is sent: a quarter by its number."""
CELLED: dict[str, str] = {name: kind for name, kind in COUNTED.items() if BY_NAME[name].cells}
"""The counters that cells have; NULL where nothing is counted, so that a cell takes few bytes."""

SUMMED: tuple[str, ...] = tuple(name for name, kind in CELLED.items() if kind == "bigint")
"""The counters that sums of cells have."""

ACTIVITY_KEY: dict[str, str] = {
    "tenant": "text",
    "campaign": "text",
    "quarter": "bigint",
    "number": "text",
    "queue": "text",
}
ACTIVE: dict[str, str] = dict.fromkeys(ACTIVITY, "integer")

_KNOWN = (list(COUNTED.items()), list(CELLED), list(ACTIVE))
_DIGEST = blake2b(repr(_KNOWN).encode(), digest_size=8).hexdigest()
FINGERPRINT = f"{len(COUNTED):04}-{_DIGEST}"
"""The counters that this writer knows, by number and hash, kept with progress. Rows of an older writer lack
the newer counters: a writer that knows more reads the logs from their start."""


def is_older(ours: str, held: str) -> bool:
    """Return whether what Postgres holds has columns of a newer version: registries only grow."""
    return ours != held and ours.partition("-")[0] < held.partition("-")[0]


_ZEROS: Record = dict.fromkeys(PLAIN, 0)


def record(key: RowKey, row: Row) -> Record:
    """Return a row as a record of columns.

    A counter that the registry does not know comes from a newer fold; it is left to the newer writer.
    """
    values: Record = {
        **dict(zip(KEY, key.columns(), strict=True)),
        "next_offset": row.next_offset,
        "first_ms": row.first_ms,
        "last_ms": row.last_ms,
        "labels": row.labels,
        "channels": row.channels,
        **_ZEROS,
        **{name: {} for name in NESTED},
    }
    return values | celled(row.counts)


def celled(counts: Mapping[str, int]) -> Record:
    """Return counts as columns, without those in which nothing is counted."""
    values: Record = {}
    for flat, count in counts.items():
        column, entry = _split(flat)
        if entry:
            values.setdefault(column, {})[entry] = count
        elif column:
            values[column] = count
    return values


@lru_cache(maxsize=65_536)
def _split(flat: str) -> tuple[str, str]:
    """Return column and entry of a count; a plain counter has no entry, an unknown one has neither."""
    name, _, entry = flat.partition(".")
    kind = COUNTED.get(name)
    known = kind is not None and (kind == "jsonb") is bool(entry)
    return (name, entry) if known else ("", "")
