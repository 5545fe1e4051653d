"""What a kind is: a part of a log's keys, and the SQL by which its values come to a table. Pure.

Its tables have the columns `generation`, `partition` and `epoch`; what an epoch has not written is deleted at
the epoch's end.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from tally.schemas.topics import Changelog
from tally.tables.pieces import Steps


class NotOurs(Exception):
    """A log holds something that is none of a kind's values; the message says what and names no value."""


Entry = tuple[bytes, bytes | None]
"""A key of a log and its newest value; None where it is gone."""


class Statement(Struct, frozen=True):
    """SQL that takes $1 generation, $2 partition, $3 epoch and $4 a JSON list."""

    sql: str
    listed: str


class Replacement(Statement, frozen=True, kw_only=True):
    """What takes the place of all rows that a table has of some subjects.

    Its SQL deletes those, and takes $1 generation, $2 partition and $3 the subjects; nothing is listed.
    """

    listed: str = ""
    subjects: Sequence[bytes]
    table: str
    columns: tuple[str, ...]
    records: Sequence[tuple[Any, ...]]
    """The new rows, without generation, partition and epoch."""


class Kind(Struct, frozen=True):
    """One kind of thing that the sink writes."""

    name: str
    """Its label in metrics, and in `tally.withheld`."""
    log: Changelog
    holds: Callable[[bytes], bool]
    """Returns whether a key of the log is of this kind."""
    statements: Callable[[Sequence[Entry]], Steps[list[Statement]]]
    """Returns what writes entries, in the order of their keys, in which all writers lock them."""
    prunes: Sequence[str]
    """SQL that deletes at most $4 things of other epochs than $3, from each of its tables."""
    whose: Callable[[bytes], tuple[str, str]]
    """Returns the tenant and campaign that a key is of; a campaign of an operator's row is empty."""
    is_derived: bool = False
    """Whether it depends on the rules: a sink with other rules than progress names may not write it."""


def columns_of(names: Sequence[str], prefix: str = "") -> str:
    """Return names as SQL lists them."""
    return ", ".join(prefix + name for name in names)


def on_conflict(key: Sequence[str], values: Sequence[str], more: str = "") -> str:
    """Return the SQL that overwrites what is there, unless it is equal and of the same epoch."""
    kept = ("epoch", *values)
    return f"""\
ON CONFLICT (generation, partition, {columns_of(key)}) DO UPDATE
SET {columns_of([f"{name} = excluded.{name}" for name in kept])}{more}
WHERE ({columns_of(kept, "held.")}) IS DISTINCT FROM ({columns_of(kept, "excluded.")})"""


def prune_of(table: str) -> str:
    """Return the SQL that deletes some of what other epochs have written."""
    return f"""
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table}
    WHERE generation = $1 AND partition = $2 AND epoch <> $3 LIMIT $4
))
"""  # noqa: S608 - the table's name is a constant
