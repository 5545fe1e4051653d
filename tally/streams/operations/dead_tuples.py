"""Dead tuples of our tables in Postgres: whether they are taken away, and what keeps them where not."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

MOST_SHARE = 0.2
SPARED = 10_000
"""So many dead tuples are no trouble in a table of any size: every row that is rewritten each second leaves
one, until the next version comes to its page."""
HELD_SECONDS = 600.0
"""An open snapshot of that age keeps what died since; autovacuum looks once a minute."""

TABLES = """
SELECT stats.relname AS name, n_live_tup AS live, n_dead_tup AS dead,
    coalesce('autovacuum_enabled=false' = ANY (reloptions), false) AS is_off
FROM pg_stat_user_tables AS stats JOIN pg_class ON pg_class.oid = relid
WHERE schemaname = 'tally' ORDER BY name
"""
SERVER = "SELECT current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean"
HOLDERS = """
SELECT concat('the transaction of process ', pid, ' (' || nullif(application_name, '') || ')') AS what,
    extract(epoch FROM now() - xact_start)::float8 AS seconds
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL OR pid IN (
        SELECT pid FROM pg_locks JOIN pg_class ON pg_class.oid = relation
        WHERE relnamespace = 'tally'::regnamespace AND granted
            AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
    ))
UNION ALL
SELECT 'a prepared transaction', extract(epoch FROM now() - prepared)::float8
FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL
SELECT 'the replication slot ' || slot_name, 'infinity'::float8
FROM pg_replication_slots WHERE NOT active AND (xmin IS NOT NULL OR catalog_xmin IS NOT NULL)
ORDER BY seconds DESC
"""
"""What keeps dead tuples, the oldest first: snapshots, and locks that autovacuum gives way to. Of sessions of
other roles only pg_read_all_stats sees as much; a slot that nobody reads has no age."""


class NotVacuumed(Exception):
    """Tables have many dead tuples, or will have: queries and the sink become slower."""


class Table(Struct, frozen=True):
    """One table, as the server's statistics have it."""

    name: str
    live: int
    dead: int
    is_off: bool = False
    """Whether autovacuum is switched off for it."""

    @property
    def share(self) -> float:
        """The share of dead tuples."""
        return self.dead / (self.live + self.dead) if self.dead else 0.0

    @property
    def has_too_many(self) -> bool:
        """Whether they are more than autovacuum is set to leave."""
        return self.dead > SPARED and self.share > MOST_SHARE


class Holder(Struct, frozen=True):
    """What may keep dead tuples, and for how long already."""

    what: str
    seconds: float


async def looked_up(connection: Any) -> tuple[list[Table], bool, list[Holder]]:
    """Return our tables, whether the server runs autovacuum, and what may keep dead tuples."""
    tables = [Table(**dict(one)) for one in await connection.fetch(TABLES)]
    holders = [Holder(one["what"], one["seconds"] or 0.0) for one in await connection.fetch(HOLDERS)]
    return tables, await connection.fetchval(SERVER), holders


def judged(tables: Sequence[Table], is_on: bool, holders: Sequence[Holder]) -> str:
    """Return what is to be said of dead tuples. Pure. Raises NotVacuumed."""
    worst = max(tables, key=lambda one: one.share, default=Table("counters", 0, 0))
    said = [f"{one.name} has {one.dead:,} of them, {one.share:.0%}" for one in tables if one.has_too_many]
    if not is_on:
        said.append("the server runs no autovacuum: switch on autovacuum and track_counts")
    if off := [one.name for one in tables if one.is_off]:
        said.append(f"autovacuum is switched off for {', '.join(off)}: reset autovacuum_enabled")
    if held := [one for one in holders if one.seconds > HELD_SECONDS]:
        said.append(f"{_held(held[0])} keeps what died since: end it")
    if said:
        raise NotVacuumed("; ".join(said))
    return (
        f"at most {worst.share:.0%} of a table ({worst.name}: {worst.dead:,} of {worst.live + worst.dead:,})"
    )


def _held(one: Holder) -> str:
    return (
        one.what if one.seconds == float("inf") else f"{one.what}, open for {one.seconds / 60:.0f} minutes,"
    )
