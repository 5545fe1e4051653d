"""Which deployment a database belongs to: an id that the brokers keep too (streams.operations.deployment)."""

from collections.abc import Sequence
from typing import Literal

from tally.tables.postgres.database import Database

READ = "SELECT id FROM tally.deployment"
KEEP = "INSERT INTO tally.deployment (id) VALUES ($1) ON CONFLICT DO NOTHING"
PUT = "INSERT INTO tally.deployment (id) VALUES ($1) ON CONFLICT (single) DO UPDATE SET id = EXCLUDED.id"
COUNTED = """
SELECT CASE WHEN count(*) = 0 THEN 'nothing' WHEN bool_or(store_id = ANY($1)) THEN 'ours' ELSE 'others' END
FROM tally.flush_progress
"""

Verdict = Literal["ours", "claim", "restore", "foreign"]
Holds = Literal["nothing", "ours", "others"]
"""Whose changelogs the counters in a database are of."""


def judge(of_brokers: str | None, of_database: str | None, holds: Holds) -> Verdict:
    """Decide whether a database is this deployment's, by the ids that brokers and database hold. Pure.

    Where one of the two has no id yet, the counters in the database tell. An empty database that meets
    brokers which know another has to be named by hand: it may be another environment's.
    """
    if of_brokers is not None and of_database is not None:
        return "ours" if of_brokers == of_database else "foreign"
    if of_brokers is None:
        return "foreign" if holds == "others" else "claim"
    return "restore" if holds == "ours" else "foreign"


async def database_id(database: Database) -> str | None:
    """Return the id that the database holds. Raises Away, Refused."""
    async with database.transaction() as connection:
        found: str | None = await connection.fetchval(READ)
    return found


async def keep_id(database: Database, deployment: str) -> str:
    """Give the database an id unless it has one; return the one it has. Raises Away, Refused."""
    async with database.transaction() as connection:
        await connection.execute(KEEP, deployment)
        found: str = await connection.fetchval(READ)
    return found


async def put_id(database: Database, deployment: str) -> None:
    """Give the database an id in place of any other. Raises Away, Refused."""
    async with database.transaction() as connection:
        await connection.execute(PUT, deployment)


async def whose_counters(database: Database, store_ids: Sequence[str]) -> Holds:
    """Return whether what was flushed here is of these changelogs. Raises Away, Refused."""
    async with database.transaction() as connection:
        found: Holds = await connection.fetchval(COUNTED, list(store_ids))
    return found
