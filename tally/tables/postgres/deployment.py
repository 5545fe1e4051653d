"""The id of a database's deployment, which the brokers hold as well (streams.operations.deployment)."""

from collections.abc import Sequence
from typing import Literal

from tally.tables.postgres.database import Database

READ = "SELECT id FROM tally.deployment"
KEEP = "INSERT INTO tally.deployment (id) VALUES ($1) ON CONFLICT DO NOTHING"
PUT = "INSERT INTO tally.deployment (id) VALUES ($1) ON CONFLICT (single) DO UPDATE SET id = EXCLUDED.id"
COUNTED = """
SELECT CASE WHEN count(*) = 0 THEN 'nothing' WHEN bool_or(store_id = ANY($1)) THEN 'ours' ELSE 'others' END
FROM tally.sink_progress
"""

Verdict = Literal["ours", "claim", "restore", "foreign"]
Holds = Literal["nothing", "ours", "others"]
"""Which deployment's changelogs the database's counters come from."""


def judge(of_brokers: str | None, of_database: str | None, holds: Holds) -> Verdict:
    """Decide by the ids of brokers and database whether the database is this deployment's. Pure.

    If either has no id yet, the counters in the database decide. If the brokers have an id and the database
    is empty, the verdict is `foreign`: it may belong to another environment, so its id must be set by hand.
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
    """Set the database's id unless it has one; return the id it has. Raises Away, Refused."""
    async with database.transaction() as connection:
        await connection.execute(KEEP, deployment)
        found: str = await connection.fetchval(READ)
    return found


async def put_id(database: Database, deployment: str) -> None:
    """Set the database's id, replacing any other. Raises Away, Refused."""
    async with database.transaction() as connection:
        await connection.execute(PUT, deployment)


async def whose_counters(database: Database, store_ids: Sequence[str]) -> Holds:
    """Return whether the rows come from these changelogs. Raises Away, Refused."""
    async with database.transaction() as connection:
        found: Holds = await connection.fetchval(COUNTED, list(store_ids))
    return found
