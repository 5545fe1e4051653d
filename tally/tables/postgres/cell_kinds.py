"""How cells and activity come to Postgres, each with its sums. Pure."""

from collections.abc import Callable, Mapping, Sequence

import orjson
from msgspec import Struct

from tally.schemas.cells import (
    QUARTER_SECONDS,
    ActivityCell,
    Cell,
    Minutes,
    decode_counts,
    decode_minutes,
    in_quarter,
)
from tally.schemas.tables import ACTIVITY as ACTIVITY_TABLE
from tally.schemas.tables import CELLS as CELLS_TABLE
from tally.schemas.tables import CODES
from tally.schemas.topics import STATES
from tally.tables.pieces import Steps
from tally.tables.postgres.columns import ACTIVE, ACTIVITY_KEY, CELL_KEY, CELLED, Record, celled
from tally.tables.postgres.kind import Entry, Kind, NotOurs, Statement, columns_of, on_conflict, prune_of
from tally.tables.postgres.minutes import REPLACE_MINUTES
from tally.tables.postgres.minutes import TABLE as MINUTES
from tally.tables.postgres.rollups import OF_ACTIVITY, OF_CELLS

Read = Callable[[bytes, bytes | None], tuple[Record, Record]]
"""Reads a key of `states` and its value: the columns that name a cell, and what it counts."""


class Table(Struct, frozen=True):
    """A table of cells; a quarter is sent by its number, and stands there as the time when it begins."""

    name: str
    key: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def upsert(self) -> str:
        """Return the SQL that writes cells."""
        sent = {**self.key, **self.values}
        return f"""
INSERT INTO {self.name} AS held (generation, partition, epoch, {columns_of(tuple(sent))})
SELECT $1, $2, $3, {columns_of([_expression(name) for name in sent])}
FROM jsonb_to_recordset($4) AS sent ({columns_of([f"{name} {kind}" for name, kind in sent.items()])})
{on_conflict(tuple(self.key), tuple(self.values))}
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


def _statements(table: Table, read: Read) -> Callable[[Sequence[Entry]], Steps[list[Statement]]]:
    """Return what makes the statements of entries; the table's triggers add up what they change."""
    upsert, delete = table.upsert, table.delete

    def statements(entries: Sequence[Entry]) -> Steps[list[Statement]]:
        gone, written = [], []
        for key, value in sorted(entries, key=lambda entry: entry[0]):
            try:
                named, counted = read(key[1:], value)
            except (TypeError, ValueError) as error:
                raise NotOurs(f"no cell: {type(error).__name__}") from None
            if value is None:
                gone.append(_dumped(named))
            else:
                written.append(_dumped(named | counted))
            yield
        made = [(delete, gone), (upsert, written)]
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
    counted = {} if value is None else dict.fromkeys(ACTIVE, 0) | in_quarter(decode_minutes(value))
    return dict(zip(ACTIVITY_KEY, named, strict=True)), counted


def _with_minutes(entries: Sequence[Entry]) -> Steps[list[Statement]]:
    """Return what writes cells of activity, and their minutes."""
    statements = yield from _activity_statements(entries)
    listed = []
    for key, value in sorted(entries, key=lambda entry: entry[0]):
        named, _ = _activity(key[1:], None)
        listed.append(
            _dumped(named | {"minutes": [] if value is None else _by_minute(decode_minutes(value))})
        )
        yield
    return [*statements, Statement(REPLACE_MINUTES, f"[{','.join(listed)}]")]


def _by_minute(minutes: Minutes) -> list[Record]:
    found: dict[int, Record] = {}
    for name, counts in minutes.items():
        for minute, count in counts.items():
            found.setdefault(minute, {"minute": minute})[name] = count
    return list(found.values())


_activity_statements = _statements(ACTIVITY_OF, _activity)


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
    tuple(prune_of(table) for table in (CELL_TABLE.name, *(one.name for one in OF_CELLS))),
    _whose_cell,
)
ACTIVITY = Kind(
    "activity",
    STATES,
    _holds(ACTIVITY_TABLE),
    _with_minutes,
    tuple(prune_of(table) for table in (ACTIVITY_OF.name, MINUTES, *(one.name for one in OF_ACTIVITY))),
    _whose_activity,
)
