"""Readers of Postgres see one generation; operators move it by hand, forward, never to an empty one."""

import asyncpg
import pytest

from tally.deploy import migrate
from tally.streams.operations.generation import GenerationError, point, shown
from tally.streams.settings import load

pytestmark = pytest.mark.asyncio


async def test_the_generation_shown_only_moves_forward_and_to_one_that_was_written(database: str) -> None:
    migrate.up(database)
    first, second = (load({}, postgres_dsn=database, generation=number) for number in (1, 2))
    assert await shown(first) is None
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("INSERT INTO tally.current_generation (generation) VALUES (1)")
        with pytest.raises(GenerationError, match="nothing of generation 2"):
            await point(second)
        await connection.execute(
            "INSERT INTO tally.sink_progress"
            " SELECT number, 0, 's', 'a', 'b', 5, 'r', 'c', 5, 5, 0, 5, true, 1, true, 'w', 1"
            " FROM generate_series(1, 2) AS number"
        )
    finally:
        await connection.close()
    await point(second)

    assert await shown(first) == 2
    with pytest.raises(GenerationError, match="has been left: set TALLY_GENERATION"):
        await point(first)
