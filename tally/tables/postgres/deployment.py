"""Which deployment a database belongs to: an id that the brokers keep too (`tally/streams/deployment.py`)."""

from collections.abc import Sequence
from typing import Literal

from tally.tables.postgres.database import Database

READ = "SELECT id FROM tally.deployment"
KEEP = "INSERT INTO tally.deployment (id) VALUES ($1) ON CONFLICT DO NOTHING"
PUT = "INSERT INTO tally.deployment (id) VALUES ($1) ON CONFLICT (single) DO UPDATE SET id = EXCLUDED.id"
COUNTED = "SELECT EXISTS (SELECT FROM tally.flush_progress WHERE store_id = ANY($1))"

Verdict = Literal["ours", "claim", "restore", "foreign"]


def judge(of_brokers: str | None, of_database: str | None, counted_here: bool) -> Verdict:
    """Decide whether a database is this deployment's, by the ids that brokers and database hold. Pure.

    A database without an id is ours where it holds counters of our own changelogs: its table was made anew.
    Any other has to be named by hand, since it may be empty because it is another environment's.
    """
    if of_brokers is None:
        return "claim"
    if of_database is None:
        return "restore" if counted_here else "foreign"
    return "ours" if of_brokers == of_database else "foreign"


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


async def holds_counters_of(database: Database, store_ids: Sequence[str]) -> bool:
    """Return whether anything of these changelogs was ever flushed here. Raises Away, Refused."""
    async with database.transaction() as connection:
        found: bool = await connection.fetchval(COUNTED, list(store_ids))
    return found
