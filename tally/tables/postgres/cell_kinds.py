"""How cells and activity come to Postgres, and with activity its sums by campaign and quarter hour. Pure."""

from collections.abc import Callable, Mapping, Sequence

import orjson
from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS, ActivityCell, Cell, decode_counts
from tally.schemas.tables import ACTIVITY as ACTIVITY_TABLE
from tally.schemas.tables import CELLS as CELLS_TABLE
from tally.schemas.tables import CODES
from tally.schemas.topics import STATES
from tally.tables.pieces import Steps
from tally.tables.postgres.columns import ACTIVE, ACTIVITY_KEY, CELL_KEY, CELLED, Record, celled
from tally.tables.postgres.kind import Entry, Kind, NotOurs, Statement, columns_of, prune_of

Read = Callable[[bytes, bytes | None], tuple[Record, Record]]
"""Reads a key of `states` and its value: the columns that name a cell, and what it counts."""
ACTIVITY_SUMS = "tally.activity_sums"
SUMMED_KEY = ("tenant", "campaign", "quarter")


class Table(Struct, frozen=True):
    """A table of cells; a quarter is sent by its number, and stands there as the time when it begins."""

    name: str
    key: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def upsert(self) -> str:
        """Return the SQL that writes cells; an equal one of the same epoch is not written."""
        sent = {**self.key, **self.values}
        return f"""
INSERT INTO {self.name} AS held (generation, partition, epoch, {columns_of(tuple(sent))})
SELECT $1, $2, $3, {columns_of([_expression(name) for name in sent])}
FROM jsonb_to_recordset($4) AS sent ({columns_of([f"{name} {kind}" for name, kind in sent.items()])})
ON CONFLICT (generation, partition, {columns_of(tuple(self.key))}) DO UPDATE
SET {columns_of([f"{name} = excluded.{name}" for name in self.values])}, epoch = excluded.epoch
WHERE ({columns_of(("epoch", *self.values), "held.")})
    IS DISTINCT FROM ({columns_of(("epoch", *self.values), "excluded.")})
"""  # noqa: S608 - names of the registry are put into the text

    @property
    def delete(self) -> str:
        """Return the SQL that deletes cells."""
        return f"""
DELETE FROM {self.name} AS held
USING jsonb_to_recordset($4) AS sent ({columns_of([f"{name} {kind}" for name, kind in self.key.items()])})
WHERE held.generation = $1 AND held.partition = $2 AND $3::bigint IS NOT NULL
    AND {" AND ".join(f"held.{name} = {_expression(name)}" for name in self.key)}
"""  # noqa: S608


def _expression(name: str) -> str:
    return f"to_timestamp(sent.quarter * {QUARTER_SECONDS})" if name == "quarter" else f"sent.{name}"


CELL_TABLE = Table("tally.cells", CELL_KEY, CELLED)
ACTIVITY_OF = Table("tally.activity", ACTIVITY_KEY, ACTIVE)

_SUMMED = columns_of(tuple(ACTIVE))
SUM_ACTIVITY = f"""
WITH touched AS (
    SELECT DISTINCT tenant, campaign, to_timestamp(quarter * {QUARTER_SECONDS}) AS quarter
    FROM jsonb_to_recordset($4) AS sent (tenant text, campaign text, quarter bigint)
), summed AS (
    SELECT tenant, campaign, quarter, {columns_of([f"sum({name}) AS {name}" for name in ACTIVE])}
    FROM touched JOIN tally.activity USING ({columns_of(SUMMED_KEY)})
    WHERE generation = $1 AND partition = $2 AND epoch = $3
    GROUP BY {columns_of(SUMMED_KEY)}
), gone AS (
    DELETE FROM {ACTIVITY_SUMS} AS held USING touched
    WHERE held.generation = $1 AND held.partition = $2
        AND {" AND ".join(f"held.{name} = touched.{name}" for name in SUMMED_KEY)}
        AND NOT EXISTS (
            SELECT FROM summed WHERE {" AND ".join(f"summed.{name} = touched.{name}" for name in SUMMED_KEY)}
        )
)
INSERT INTO {ACTIVITY_SUMS} AS held (generation, partition, epoch, {columns_of(SUMMED_KEY)}, {_SUMMED})
SELECT $1, $2, $3, {columns_of(SUMMED_KEY)}, {_SUMMED} FROM summed ORDER BY {columns_of(SUMMED_KEY)}
ON CONFLICT (generation, partition, {columns_of(SUMMED_KEY)}) DO UPDATE
SET {columns_of([f"{name} = excluded.{name}" for name in ACTIVE])}, epoch = excluded.epoch
WHERE ({columns_of(("epoch", *ACTIVE), "held.")})
    IS DISTINCT FROM ({columns_of(("epoch", *ACTIVE), "excluded.")})
"""  # noqa: S608
"""Sum up what is there of campaigns and quarters. What former epochs have left there does not count: the end
of this one deletes it."""


def _statements(
    table: Table, read: Read, sums: str = ""
) -> Callable[[Sequence[Entry]], Steps[list[Statement]]]:
    upsert, delete = table.upsert, table.delete

    def statements(entries: Sequence[Entry]) -> Steps[list[Statement]]:
        gone, written = [], []
        touched: dict[str, None] = {}
        for key, value in sorted(entries, key=lambda entry: entry[0]):
            try:
                named, counted = read(key[1:], value)
            except (TypeError, ValueError) as error:
                raise NotOurs(f"no cell: {type(error).__name__}") from None
            if value is None:
                gone.append(_dumped(named))
            else:
                written.append(_dumped(named | counted))
            if sums:
                touched[_dumped({name: named[name] for name in SUMMED_KEY})] = None
            yield
        made = [(delete, gone), (upsert, written), (sums, list(touched))]
        return [Statement(sql, f"[{','.join(listed)}]") for sql, listed in made if listed]

    return statements


def _dumped(record: Record) -> str:
    return orjson.dumps(record).decode()


def _cell(key: bytes, value: bytes | None) -> tuple[Record, Record]:
    cell = Cell.decode(key)
    named = (*cell.row.columns(), cell.number, cell.market, cell.quarter)
    return dict(zip(CELL_KEY, named, strict=True)), {} if value is None else celled(decode_counts(value))


def _activity(key: bytes, value: bytes | None) -> tuple[Record, Record]:
    cell = ActivityCell.decode(key)
    named = (cell.tenant, cell.campaign, cell.quarter, cell.number, cell.queue)
    counted = {} if value is None else dict.fromkeys(ACTIVE, 0) | decode_counts(value)
    return dict(zip(ACTIVITY_KEY, named, strict=True)), counted


def _whose_cell(key: bytes) -> tuple[str, str]:
    row = Cell.decode(key[1:]).row
    return row.tenant, row.campaign


def _whose_activity(key: bytes) -> tuple[str, str]:
    cell = ActivityCell.decode(key[1:])
    return cell.tenant, cell.campaign


def _holds(table: str) -> Callable[[bytes], bool]:
    code = CODES[table]
    return lambda key: key.startswith(code)


CELLS = Kind(
    "cells",
    STATES,
    _holds(CELLS_TABLE),
    _statements(CELL_TABLE, _cell),
    (prune_of(CELL_TABLE.name),),
    _whose_cell,
)
ACTIVITY = Kind(
    "activity",
    STATES,
    _holds(ACTIVITY_TABLE),
    _statements(ACTIVITY_OF, _activity, SUM_ACTIVITY),
    (prune_of(ACTIVITY_OF.name), prune_of(ACTIVITY_SUMS)),
    _whose_activity,
)
