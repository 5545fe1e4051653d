"""The right numbers: a recount of the raw topics in plain SQL, which every contender is compared with."""

from collections.abc import Mapping

from bench.servers import own_database
from tally.oracle.comparison import Difference, differences
from tally.oracle.judgement import Table, postgres_table, recounted_tables, view_table
from tally.oracle.recount import connect, copy_raw, recount
from tally.streams.dev.judging import RawTopics
from tally.streams.settings import Settings
from tests.support.keys import answers_of
from tests.support.workers import WorkerProcess, settings_of

TEMPLATE_PARTS = 4
PEER_COUNTERS = ("sent", "delivered", "read", "failed", "replied")

PeerRows = Mapping[tuple[str, ...], tuple[int, ...]]


async def recounted(settings: Settings) -> Table:
    """Copy the raw topics into Postgres and count them there."""
    connection = await connect(settings.postgres_dsn.get_secret_value())
    try:
        await copy_raw(RawTopics(settings), connection)
        await recount(connection)
        return await recounted_tables(connection)
    finally:
        await connection.close()


async def recounted_apart(environment: Mapping[str, str]) -> Table:
    """Recount in a temporary database."""
    async with own_database(environment) as own:
        return await recounted(settings_of(own))


def peer_rows(right: Table) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Return the right rows for a peer: those of templates, with the counters that peers know."""
    return {
        key: tuple(row[name] or 0 for name in PEER_COUNTERS)
        for key, row in right.items()
        if len(key) == TEMPLATE_PARTS
    }


async def wrong(worker: WorkerProcess, right: Table) -> list[Difference]:
    """Return every counter of view and Postgres that differs from the recount."""
    async with answers_of(worker) as answers:
        found = differences(right, await view_table(answers, {key[0] for key in right}))
    connection = await connect(worker.settings.postgres_dsn.get_secret_value())
    try:
        in_postgres, _ = await postgres_table(connection, right)
    finally:
        await connection.close()
    return found + in_postgres
