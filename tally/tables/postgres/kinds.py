"""The kinds of things that the sink writes: which log they are read from, and the SQL that writes them. Pure.

A kind names a part of a log's keys and says how its values come to a table. Its table has the columns
`generation`, `partition` and `epoch`; what an epoch has not written is deleted at the epoch's end.
"""

from collections.abc import Callable, Mapping, Sequence

import orjson
from msgspec import Struct

from tally.schemas.grains import RowKey
from tally.schemas.rows import decode_row
from tally.schemas.topics import COUNTERS, Changelog
from tally.tables.pieces import Steps
from tally.tables.postgres.columns import KEY, VALUES, record


class NotOurs(Exception):
    """A log holds something that is none of a kind's values; the message says what and names no value."""


Entry = tuple[bytes, bytes | None]
"""A key of a log and its newest value; None where it is gone."""


class Statement(Struct, frozen=True):
    """SQL that takes $1 generation, $2 partition, $3 epoch and $4 a JSON list."""

    sql: str
    listed: str


class Kind(Struct, frozen=True):
    """One kind of thing that the sink writes."""

    name: str
    """Its label in metrics, and in `tally.withheld`."""
    log: Changelog
    holds: Callable[[bytes], bool]
    """Returns whether a key of the log is of this kind."""
    statements: Callable[[Sequence[Entry]], Steps[list[Statement]]]
    """Returns what writes entries, in the order of their keys, in which all writers lock them."""
    prune: str
    """SQL that deletes at most $4 things of other epochs than $3."""
    whose: Callable[[bytes], tuple[str, str]]
    """Returns the tenant and campaign that a key is of; a campaign of an operator's row is empty."""
    is_derived: bool = False
    """Whether it depends on the rules: a sink with other rules than progress names may not write it."""


def _listed(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


_SENT = (*KEY, *VALUES)
# S608: only column names of the registry are put into the text.
UPSERT_ROWS = f"""
INSERT INTO tally.counters AS held (generation, partition, epoch, {_listed(_SENT)})
SELECT $1, $2, $3, {_listed(_SENT)}
FROM jsonb_to_recordset($4) AS sent ({", ".join(f"{name} {kind}" for name, kind in (KEY | VALUES).items())})
ON CONFLICT (generation, partition, {_listed(tuple(KEY))}) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in VALUES)}, epoch = excluded.epoch, updated_at = now()
WHERE ({_listed(("epoch", *VALUES), "held.")}) IS DISTINCT FROM ({_listed(("epoch", *VALUES), "excluded.")})
"""  # noqa: S608
"""Write rows. An equal row of the same epoch is not written."""

DELETE_ROWS = f"""
DELETE FROM tally.counters AS held
USING jsonb_to_recordset($4) AS sent ({", ".join(f"{name} text" for name in KEY)})
WHERE held.generation = $1 AND held.partition = $2 AND $3::bigint IS NOT NULL
    AND {" AND ".join(f"held.{name} = sent.{name}" for name in KEY)}
"""  # noqa: S608

PRUNE_ROWS = """
DELETE FROM tally.counters WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM tally.counters
    WHERE generation = $1 AND partition = $2 AND epoch <> $3 LIMIT $4
))
"""


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


ROWS = Kind("rows", COUNTERS, _is_row, _rows, PRUNE_ROWS, _whose_row)
KINDS: tuple[Kind, ...] = (ROWS,)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


class Sieve:
    """Tells the kind of each key, and which logs hold any."""

    def __init__(self, kinds: Sequence[Kind] = KINDS) -> None:
        self._kinds = kinds

    def kind_of(self, log: Changelog, key: bytes) -> str | None:
        """Return the name of the kind that a key belongs to; None where it is not written."""
        for kind in self._kinds:
            if kind.log == log and kind.holds(key):
                return kind.name
        return None

    @property
    def is_derived(self) -> bool:
        """Whether anything depends on the rules."""
        return any(kind.is_derived for kind in self._kinds)

    @property
    def logs(self) -> frozenset[Changelog]:
        """The logs of which anything is written."""
        return frozenset(kind.log for kind in self._kinds)
