"""Minutes of activity as SQL: those of each cell replaced as a set, and the old ones removed. Pure.

They are a part of what an activity cell says, so that those of a quarter hour are always the cell's number.
Their rows are kept for two days alone, by the clock of Postgres, which is one for all who write.
"""

from tally.schemas.cells import MINUTE_SECONDS, QUARTER_MINUTES, QUARTER_SECONDS
from tally.tables.postgres.columns import ACTIVE, ACTIVITY_KEY
from tally.tables.postgres.kind import columns_of

TABLE = "tally.minutes"
KEPT_HOURS = 48
"""Whoever asks finds the minutes of so many hours."""
REMOVED_HOURS = KEPT_HOURS + 1
"""An hour more than is promised: clocks differ."""

_NAMED = tuple(name for name in ACTIVITY_KEY if name != "quarter")
_KEY = (*_NAMED, "minute")
_COUNTED = columns_of(tuple(ACTIVE))
_SENT = columns_of([f"{name} {kind}" for name, kind in (ACTIVITY_KEY | {"minutes": "jsonb"}).items()])
_ZEROED = columns_of([f"coalesce({name}, 0) AS {name}" for name in ACTIVE])
_OLDEST = (
    f"to_timestamp(floor(extract(epoch FROM now() - interval '{REMOVED_HOURS} hours') / {QUARTER_SECONDS})"
    f" * {QUARTER_SECONDS})"
)
_SAME = " AND ".join(f"each.{name} = held.{name}" for name in _KEY)
_AT = f"to_timestamp((sent.quarter * {QUARTER_MINUTES} + one.minute) * {MINUTE_SECONDS})"
REPLACE_MINUTES = f"""
WITH sent AS MATERIALIZED (
    SELECT *, to_timestamp(quarter * {QUARTER_SECONDS}) AS begins
    FROM jsonb_to_recordset($4) AS sent ({_SENT})
), each AS MATERIALIZED (
    SELECT {columns_of(_NAMED, "sent.")}, {_AT} AS minute, {_ZEROED}
    FROM sent CROSS JOIN LATERAL jsonb_to_recordset(minutes)
        AS one (minute integer, {columns_of([f"{name} {kind}" for name, kind in ACTIVE.items()])})
    WHERE begins >= {_OLDEST}
), held AS MATERIALIZED (
    SELECT minutes.ctid AS place, minutes.*
    FROM sent JOIN {TABLE} AS minutes
        ON minutes.generation = $1 AND minutes.partition = $2
        AND {" AND ".join(f"minutes.{name} = sent.{name}" for name in _NAMED)}
        AND minutes.minute >= begins AND minutes.minute < begins + interval '{QUARTER_SECONDS} seconds'
), gone AS (
    DELETE FROM {TABLE} WHERE ctid = ANY (ARRAY(
        SELECT place FROM held WHERE NOT EXISTS (SELECT FROM each WHERE {_SAME})
    ))
), old AS (
    DELETE FROM {TABLE} WHERE generation = $1 AND partition = $2 AND minute < {_OLDEST}
)
INSERT INTO {TABLE} AS held (generation, partition, epoch, {columns_of(_KEY)}, {_COUNTED})
SELECT $1, $2, $3, {columns_of(_KEY)}, {_COUNTED} FROM each
WHERE NOT EXISTS (
    SELECT FROM held WHERE {_SAME} AND held.epoch = $3
        AND ({columns_of(tuple(ACTIVE), "held.")}) = ({columns_of(tuple(ACTIVE), "each.")})
)
ORDER BY {columns_of(_KEY)}
ON CONFLICT (generation, partition, {columns_of(_KEY)}) DO UPDATE
SET {columns_of([f"{name} = excluded.{name}" for name in ACTIVE])}, epoch = excluded.epoch
"""  # noqa: S608 - names of the registry are put into the text
"""Replace the minutes of the cells that are sent; a cell that is gone has none.

Minutes that stay as they are, which most do, are left out before the insertion: a conflict would lock each of
them, and write that to the log of Postgres, once a second.
"""
