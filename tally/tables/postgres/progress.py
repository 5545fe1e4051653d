"""What Postgres holds of a partition beside its rows: how far, of which logs and how; and its SQL. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from tally.schemas.topics import COUNTERS, STATES, Changelog


class SinkProgress(Struct, frozen=True):
    """How far a partition has been written to Postgres, from which logs, and by whom."""

    store_id: str
    """Of the partition's progress records; tells its logs from any others."""
    states_topic: str
    counters_topic: str
    """Topic ids in hexadecimal."""
    seq: int
    """The last transaction that was a cut; 0 before the first."""
    rules: str
    """Fingerprint of the rules that progress names; empty while none is known."""
    columns: str
    """The counters that the writer knew: `tables.postgres.columns.FINGERPRINT`."""
    states_offset: int
    counters_offset: int
    """The next offsets to read: all before them is in Postgres."""
    cut_at_ms: int
    """Kafka's time of the last cut; before the first one, when the epoch began."""
    facts_offset: int
    """The progress of the fold at the last cut: every fact below it is counted; 0 before the first."""
    is_cut: bool
    """Whether Postgres holds the partition as of one moment; False while the sink catches up."""
    epoch: int
    """Which reading of the logs from their start this is; rows hold the epoch that wrote them."""
    is_pruned: bool
    """Whether the rows that the epoch has not written are deleted."""
    writer: str
    """Drawn whenever a sink opens the partition."""
    writes: int
    """Grows with every write: together with `writer` no two records are alike."""

    @property
    def places(self) -> dict[Changelog, int]:
        """The next offset to read of each log."""
        return {STATES: self.states_offset, COUNTERS: self.counters_offset}

    @property
    def topics(self) -> Mapping[Changelog, str]:
        """The topic id of each log."""
        return {STATES: self.states_topic, COUNTERS: self.counters_topic}


class ProgressMoved(Exception):
    """Postgres does not hold the progress that this writer has seen; nothing was written."""


FIELDS = SinkProgress.__struct_fields__
COMPARED = ("writer", "writes", "columns", "epoch")
"""What tells one state of progress from any other; `columns` is emptied when a column is added."""

READ_PROGRESS = f"""
WITH pointed AS (
    INSERT INTO tally.current_generation (generation) VALUES ($1) ON CONFLICT DO NOTHING
), told AS (
    INSERT INTO tally.partitions (generation, partition)
    SELECT $1, every FROM generate_series(0, $3::integer - 1) AS every ON CONFLICT DO NOTHING
)
SELECT partition, {", ".join(FIELDS)}
FROM tally.sink_progress
WHERE generation = $1 AND partition = ANY ($2::integer[])
"""  # noqa: S608
"""Read progress of partitions; make this generation the readers' current one if there is none, and write down
that it has $3 partitions."""

NOTE_EMPTY = """
UPDATE tally.partitions SET is_empty = true
WHERE generation = $1 AND partition = $2 AND NOT is_empty AND NOT EXISTS (
    SELECT FROM tally.sink_progress WHERE generation = $1 AND partition = $2
)
"""
"""Nothing was ever counted in a partition that has no progress."""

BEGIN_PROGRESS = f"""
WITH begun AS (
    UPDATE tally.partitions SET is_empty = false WHERE generation = $1 AND partition = $2 AND is_empty
)
INSERT INTO tally.sink_progress (generation, partition, {", ".join(FIELDS)})
VALUES ($1, $2, {", ".join(f"${n}" for n in range(3, 3 + len(FIELDS)))})
ON CONFLICT DO NOTHING
"""  # noqa: S608

_FIRST = 3 + len(FIELDS)
SWAP_PROGRESS = f"""
UPDATE tally.sink_progress
SET {", ".join(f"{name} = ${n}" for n, name in enumerate(FIELDS, 3))}, updated_at = now()
WHERE generation = $1 AND partition = $2
    AND {" AND ".join(f"{name} = ${n}" for n, name in enumerate(COMPARED, _FIRST))}
"""  # noqa: S608
"""Compare and swap progress: no row changes unless it is still what the writer last saw."""
