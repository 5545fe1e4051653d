"""In small worlds where everything meets, fold and recount agree on every counter and cell, in any order."""

from random import Random

import pytest

from tally.oracle.comparison import differences
from tests.integration.test_fold_against_recount import START_S, answers, folded, recounted
from tests.support.cells import differing, folded_cells, recounted_cells
from tests.support.seeds import seeds
from tests.support.whatsapp_worlds import World

WORLDS = 150


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
    assert differing(folded_cells(partitions), cells) == []
    assert answers(again) == found
    assert differing(folded_cells(again), cells) == []
    assert sum(row["clicked_implied"] for row in expected.values()) > WORLDS / 10
    assert all(row["clicked_implied"] <= row["clicked"] <= row["accepted"] for row in found.values())
