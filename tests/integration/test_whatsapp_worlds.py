"""In small worlds where everything meets, fold and recount agree on every counter and cell, in any order."""

from random import Random

import pytest

from tally.oracle.comparison import differences
from tally.oracle.recount import connect, recount_cells
from tests.integration.test_cells_against_recount import Cells, folded_cells
from tests.integration.test_fold_against_recount import START_S, answers, folded, recounted
from tests.support.seeds import seeds
from tests.support.whatsapp_worlds import World

WORLDS = 150


async def recounted_cells(dsn: str) -> Cells:
    """Return what plain SQL counts by cell, of what was recounted last."""
    connection = await connect(dsn)
    try:
        await recount_cells(connection)
        rows = await connection.fetch("SELECT * FROM recount.cell")
    finally:
        await connection.close()
    return {tuple(row)[:-1]: row["n"] for row in rows}


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds((1,)))
async def test_every_counter_is_what_plain_sql_counts_in_any_order(recount_database: str, seed: int) -> None:
    rng = Random(seed)
    worlds = [World(rng, f"n{nth}", START_S) for nth in range(WORLDS)]
    records = [record for world in worlds for record in world.records()]
    numbers = {number_id: number for world in worlds for number_id, number in world.numbers().items()}
    expected = await recounted(recount_database, records, numbers=numbers)
    cells = await recounted_cells(recount_database)
    partitions = folded(records, numbers)
    found = answers(partitions)
    rng.shuffle(records)
    again = folded(records, numbers)

    assert differences(expected, found) == []
    assert folded_cells(partitions) == cells
    assert answers(again) == found
    assert folded_cells(again) == cells
    assert sum(row["clicked_implied"] for row in expected.values()) > WORLDS / 10
    assert all(row["clicked_implied"] <= row["clicked"] <= row["accepted"] for row in found.values())
