"""Rows as a kind of thing that the sink writes. Pure."""

from collections.abc import Sequence

import orjson

from tally.schemas.grains import RowKey
from tally.schemas.rows import decode_row
from tally.schemas.topics import COUNTERS
from tally.tables.pieces import Steps
from tally.tables.postgres.columns import KEY, VALUES, record
from tally.tables.postgres.kind import Entry, Kind, NotOurs, Statement, columns_of, on_conflict, prune_of

_SENT = (*KEY, *VALUES)
# S608: only column names of the registry are put into the text.
UPSERT_ROWS = f"""
INSERT INTO tally.counters AS held (generation, partition, epoch, {columns_of(_SENT)})
SELECT $1, $2, $3, {columns_of(_SENT)}
FROM jsonb_to_recordset($4) AS sent ({", ".join(f"{name} {kind}" for name, kind in (KEY | VALUES).items())})
{on_conflict(tuple(KEY), tuple(VALUES), ", updated_at = now()")}
"""  # noqa: S608

DELETE_ROWS = f"""
DELETE FROM tally.counters AS held
USING jsonb_to_recordset($4) AS sent ({", ".join(f"{name} text" for name in KEY)})
WHERE held.generation = $1 AND held.partition = $2 AND $3::bigint IS NOT NULL
    AND {" AND ".join(f"held.{name} = sent.{name}" for name in KEY)}
"""  # noqa: S608

PRUNE_ROWS = prune_of("tally.counters")


def _is_row(key: bytes) -> bool:
    return not key.startswith(b"\x00")


def _whose_row(key: bytes) -> tuple[str, str]:
    row = RowKey.decode(key)
    return row.tenant, row.campaign


def _rows(entries: Sequence[Entry]) -> Steps[list[Statement]]:
    gone, records = [], []
    for key, value in sorted(entries, key=lambda entry: entry[0]):
        try:
            name = RowKey.decode(key)
            row = None if value is None else decode_row(value)
        except (TypeError, ValueError) as error:
            raise NotOurs(f"no row: {type(error).__name__}") from None
        if row is None:
            gone.append(orjson.dumps(dict(zip(KEY, name.columns(), strict=True))).decode())
        else:
            records.append(orjson.dumps(record(name, row)).decode())
        yield
    made = [(DELETE_ROWS, gone), (UPSERT_ROWS, records)]
    return [Statement(sql, f"[{','.join(listed)}]") for sql, listed in made if listed]


ROWS = Kind("rows", COUNTERS, _is_row, _rows, (PRUNE_ROWS,), _whose_row)
