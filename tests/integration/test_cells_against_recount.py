"""Cells and activity, folded without servers between, equal the recount by cell in plain SQL."""

import random
from collections.abc import Sequence

import pytest

from tally.simulator.campaign import campaign
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tests.faults.events import troubled
from tests.integration.test_fold_against_recount import START_S, folded, recounted
from tests.support.cells import Cells, differing, folded_cells, recounted_cells
from tests.support.seeds import seeds


async def by_sql(dsn: str, records: Sequence[RawRecord]) -> Cells:
    await recounted(dsn, records)
    return await recounted_cells(dsn)


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_every_counter_of_every_cell_is_what_plain_sql_counts(recount_database: str, seed: int) -> None:
    records = campaign(random.Random(seed), START_S, Size(contacts_per_campaign=60))
    expected = await by_sql(recount_database, records)

    assert len(expected.of_sends) > 200
    assert len({key[6] for key in expected.of_sends}) > 1
    assert differing(folded_cells(folded(records)), expected) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_facts_that_contradict_each_other_are_placed_as_plain_sql_decides(
    recount_database: str, seed: int
) -> None:
    rng = random.Random(seed)
    records = troubled(rng, mixed(rng, START_S, Size(contacts_per_campaign=60, calls_per_campaign=20)))
    expected = await by_sql(recount_database, records)

    counters = {key[-1].partition(".")[0] for key in expected.of_sends}
    assert counters > {"attempted", "answered", "connected_ms", "hangup_causes", "queues", "queue_waits"}
    assert {key[-1] for key in expected.of_operators} == {"connects", "talk_ms", "ring_no_answer"}
    assert {key[-1] for key in expected.activity} > {"attempted", "answered", "connects", "queue_abandoned"}
    assert differing(folded_cells(folded(records)), expected) == []
