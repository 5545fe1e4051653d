"""The count of what lies beyond bounds, from rows in Postgres."""

import asyncio
import json

import asyncpg
import pytest

from tally.deploy import migrate
from tally.schemas import bounds
from tally.streams.operations.beyond import of_rows

INSERT = """
INSERT INTO tally.counters (generation, tenant, campaign, template_name, template_language, grain,
    partition, next_offset, first_ms, last_ms, queues)
SELECT 1, $1, $2 || CASE WHEN $3 THEN n::text ELSE '' END, $4 || n, $5,
    CASE WHEN $2 = '' THEN 'operator' ELSE 'template' END, p, 1, 1, 1, $6
FROM generate_series(1, $7) AS n, generate_series(0, 1) AS p
"""


@pytest.mark.asyncio
async def test_rows_say_which_names_are_digests_and_whose_answers_have_more_than_one_page(
    database: str,
) -> None:
    templates, campaigns, operators = (
        bound.most for bound in (bounds.TEMPLATES_SHOWN, bounds.CAMPAIGNS_SHOWN, bounds.OPERATORS_SHOWN)
    )
    digest = "0" * 32
    await asyncio.to_thread(migrate.up, database)
    connection = await asyncpg.connect(database)

    async def add(
        tenant: str, campaign: str, rows: int, *, anew: bool = False, name: str = "n", queue: str = "q"
    ) -> None:
        queues = json.dumps({f"{queue}/joins": 1, f"{queue}/calls": 2})
        await connection.execute(INSERT, tenant, campaign, anew, name, "en", queues, rows)

    try:
        for tenant, more in (("at", 0), ("above", 1)):
            await add(tenant, "wide", templates + more)
            await add(tenant, "c", campaigns - 1 + more, anew=True)
            await add(tenant, "", operators + more)
        found = await of_rows(connection, 1)
        assert found == {
            "templates_shown": 1,
            "campaigns_shown": 1,
            "operators_shown": 1,
            "template": 0,
            "queue_name": 0,
        }
        # A row number follows the name: digit 32 of the digest, of nine names.
        await add("t1", "c1", 9, name=f"{'ü' * 55}~{digest[1:]}", queue=f"sha256:{digest}")
        found = await of_rows(connection, 1)
        assert (found["template"], found["queue_name"]) == (9, 1)
        assert sum((await of_rows(connection, 2)).values()) == 0
    finally:
        await connection.close()
