"""How cells and activity come to Postgres, each with its sums by campaign and quarter hour. Pure."""

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
from tally.tables.postgres.columns import ACTIVE, ACTIVITY_KEY, CELL_KEY, CELLED, SUMMED, Record, celled
from tally.tables.postgres.kind import Entry, Kind, NotOurs, Statement, columns_of, prune_of
from tally.tables.postgres.minutes import REPLACE_MINUTES
from tally.tables.postgres.minutes import TABLE as MINUTES
from tally.tables.postgres.rollups import ADD_CHANGES, ROLLUPS

Read = Callable[[bytes, bytes | None], tuple[Record, Record]]
"""Reads a key of `states` and its value: the columns that name a cell, and what it counts."""


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


class Sums(Struct, frozen=True):
    """A table of sums of cells, by fewer columns; the rows that count in no campaign are not summed."""

    name: str
    of: str
    """The table of the cells."""
    key: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Return the SQL that sums up what is there of each key that a batch has touched.

        What former epochs have left there does not count: the end of this one deletes it.
        """
        key, values = columns_of(self.key), columns_of(self.values)
        same = " AND ".join(f"{{}}.{name} = touched.{name}" for name in self.key)
        sent = columns_of([f"{name} {'bigint' if name == 'quarter' else 'text'}" for name in self.key])
        touched = columns_of([f"{_expression(name)} AS {name}" for name in self.key])
        return f"""
WITH touched AS (
    SELECT DISTINCT {touched} FROM jsonb_to_recordset($4) AS sent ({sent})
), summed AS (
    SELECT {key}, {columns_of([f"sum({name})::bigint AS {name}" for name in self.values])}
    FROM touched JOIN {self.of} USING ({key})
    WHERE generation = $1 AND partition = $2 AND epoch = $3
    GROUP BY {key}
), gone AS (
    DELETE FROM {self.name} AS held USING touched
    WHERE held.generation = $1 AND held.partition = $2
        AND {same.replace("{}", "held")}
        AND NOT EXISTS (SELECT FROM summed WHERE {same.replace("{}", "summed")})
)
INSERT INTO {self.name} AS held (generation, partition, epoch, {key}, {values})
SELECT $1, $2, $3, {key}, {values} FROM summed ORDER BY {key}
ON CONFLICT (generation, partition, {key}) DO UPDATE
SET {columns_of([f"{name} = excluded.{name}" for name in self.values])}, epoch = excluded.epoch
WHERE ({columns_of(("epoch", *self.values), "held.")})
    IS DISTINCT FROM ({columns_of(("epoch", *self.values), "excluded.")})
"""  # noqa: S608 - names of the registry are put into the text


CELL_SUMS = Sums("tally.cell_sums", CELL_TABLE.name, ("tenant", "campaign", "quarter", "grain"), SUMMED)
ACTIVITY_SUMS = Sums(
    "tally.activity_sums", ACTIVITY_OF.name, ("tenant", "campaign", "quarter"), tuple(ACTIVE)
)


def _statements(
    table: Table, read: Read, sums: Sums, before: Sequence[str] = ()
) -> Callable[[Sequence[Entry]], Steps[list[Statement]]]:
    """Return what makes the statements of entries; `before` is SQL that compares them with what is held."""
    upsert, delete, sum_up = table.upsert, table.delete, sums.sql

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
            if named["campaign"]:
                touched[_dumped({name: named[name] for name in sums.key})] = None
            yield
        made = [(sql, gone + written) for sql in before]
        made += [(delete, gone), (upsert, written), (sum_up, list(touched))]
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


_activity_statements = _statements(ACTIVITY_OF, _activity, ACTIVITY_SUMS)


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
    _statements(CELL_TABLE, _cell, CELL_SUMS, [ADD_CHANGES]),
    tuple(prune_of(table) for table in (CELL_TABLE.name, CELL_SUMS.name, *(one.name for one in ROLLUPS))),
    _whose_cell,
)
ACTIVITY = Kind(
    "activity",
    STATES,
    _holds(ACTIVITY_TABLE),
    _with_minutes,
    tuple(prune_of(table) for table in (ACTIVITY_OF.name, ACTIVITY_SUMS.name, MINUTES)),
    _whose_activity,
)
