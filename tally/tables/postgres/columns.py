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
"""What names a row beside generation and partition, which a batch has in common."""

DESCRIBED: dict[str, str] = {"first_ms": "bigint", "last_ms": "bigint", "labels": "text[]"}
VALUES: dict[str, str] = {"next_offset": "bigint", **DESCRIBED, **COUNTED}

FINGERPRINT = blake2b(repr(list(COUNTED.items())).encode(), digest_size=8).hexdigest()
"""Names the counters that this writer knows. Kept with flush progress: rows that an older writer sent lack
the newer counters, so that a writer of another fingerprint sends them all again."""

_ZEROS: Record = dict.fromkeys(PLAIN, 0)


def record(key: RowKey, row: Row) -> Record:
    """Return a row as a record of columns.

    A counter that the registry does not know (of a newer fold) is left to the newer writer.
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
    """Return column and entry of a count: no entry for a plain counter, neither for an unknown one."""
    name, _, entry = flat.partition(".")
    kind = COUNTED.get(name)
    known = kind is not None and (kind == "jsonb") is bool(entry)
    return (name, entry) if known else ("", "")


def encoding(rows: Rows) -> Steps[str]:
    """Return rows as the JSON list that the upsert takes, in the order in which every writer locks them."""
    records = []
    for one in sorted(rows, key=lambda row: row[0].columns()):
        records.append(orjson.dumps(record(*one)).decode())
        yield
    return f"[{','.join(records)}]"
