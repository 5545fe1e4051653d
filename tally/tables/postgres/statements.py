"""The writer's SQL; its column lists come from the metric registry."""

from tally.tables.postgres.columns import KEY, VALUES

_SENT = (*KEY, *VALUES)
_COMPARED = [name for name in VALUES if name != "next_offset"]


def _listed(names: list[str] | tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


# S608: nothing but column names of the registry is put into the text.
UPSERT_ROWS = f"""
INSERT INTO tally.counters AS held (generation, partition, {_listed(_SENT)})
SELECT $1, $2, {_listed(_SENT)}
FROM jsonb_to_recordset($3) AS sent ({", ".join(f"{name} {kind}" for name, kind in (KEY | VALUES).items())})
ON CONFLICT (generation, partition, {_listed(tuple(KEY))}) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in VALUES)}, updated_at = now()
WHERE held.next_offset < excluded.next_offset
   OR (held.next_offset = excluded.next_offset
       AND ({_listed(_COMPARED, "held.")}) IS DISTINCT FROM ({_listed(_COMPARED, "excluded.")}))
"""  # noqa: S608
"""Write many rows: $1 generation, $2 partition, $3 records as a JSON list.

An older row loses; an equal one is left alone, so that sending everything again costs no writes.
"""

READ_PROGRESS = """
WITH pointed AS (
    INSERT INTO tally.current_generation (generation) VALUES ($1) ON CONFLICT DO NOTHING
)
SELECT partition, next_offset, store_id, columns, flushes
FROM tally.flush_progress
WHERE generation = $1 AND partition = ANY ($2::integer[])
"""
"""Read flush progress of partitions; points readers at this generation where they are pointed at none."""

BEGIN_PROGRESS = """
INSERT INTO tally.flush_progress (generation, partition, next_offset, store_id, columns, flushes)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""

SWAP_PROGRESS = """
UPDATE tally.flush_progress
SET next_offset = $3, store_id = $4, columns = $5, flushes = $6, updated_at = now()
WHERE generation = $1 AND partition = $2
    AND (next_offset, store_id, columns, flushes) = ($7, $8, $9, $10)
"""
"""Move flush progress from what the writer last saw; changes no row where that is no longer there."""
