"""Columns of `tally.counters`, from the registries of counters and grains, and rows as records. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from tally.schemas.counters import DISTRIBUTIONS, MAPS, PLAIN
from tally.schemas.grains import KEY_COLUMNS, RowKey
from tally.schemas.rows import Row
from tally.tables.pieces import Steps

Record = dict[str, Any]
Rows = Sequence[tuple[RowKey, Row]]

NESTED: tuple[str, ...] = (*MAPS, *DISTRIBUTIONS)
COUNTED: dict[str, str] = dict.fromkeys(PLAIN, "bigint") | dict.fromkeys(NESTED, "jsonb")
"""SQL type by column of each counter."""

KEY: dict[str, str] = dict.fromkeys(KEY_COLUMNS, "text")
"""The key columns of a row, without generation and partition, which all rows of a batch share."""

DESCRIBED: dict[str, str] = {"first_ms": "bigint", "last_ms": "bigint", "labels": "text[]"}
VALUES: dict[str, str] = {"next_offset": "bigint", **DESCRIBED, **COUNTED}

FINGERPRINT = blake2b(repr(list(COUNTED.items())).encode(), digest_size=8).hexdigest()
"""A hash of the counters that this writer knows, kept with flush progress. Rows of an older writer lack the
newer counters, so a writer with another fingerprint sends all rows again."""

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
        **_ZEROS,
        **{name: {} for name in NESTED},
    }
    for flat, count in row.counts.items():
        column, entry = _split(flat)
        if entry:
            values[column][entry] = count
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


def encoding(rows: Rows) -> Steps[str]:
    """Return rows as the JSON list that the upsert takes, in the order in which all writers lock them."""
    records = []
    for one in sorted(rows, key=lambda row: row[0].columns()):
        records.append(orjson.dumps(record(*one)).decode())
        yield
    return f"[{','.join(records)}]"
