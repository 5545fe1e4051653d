"""Cells and activity, folded without servers between, equal the recount by cell in plain SQL."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tally.oracle.recount import connect, recount_cells
from tally.schemas.cells import ActivityCell, Cell, decode_counts, decode_minutes, in_quarter
from tally.schemas.counters import BY_NAME
from tally.schemas.grains import OPERATOR
from tally.schemas.keys import FREE_FORM
from tally.schemas.tables import ACTIVITY, CELLS
from tally.simulator.campaign import campaign
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tests.faults.events import troubled
from tests.integration.test_fold_against_recount import START_S, folded, recounted
from tests.support.partition import MemoryPartition
from tests.support.seeds import seeds

Cells = dict[tuple[Any, ...], int]
OF_CALLS = ("attempted", "answered", "dropped", "connects", "queue_abandoned")


async def recounted_cells(dsn: str, records: Sequence[RawRecord]) -> tuple[Cells, Cells]:
    await recounted(dsn, records)
    connection = await connect(dsn)
    try:
        await recount_cells(connection)
        cells = await connection.fetch("SELECT * FROM recount.cell")
        activity = await connection.fetch("SELECT * FROM recount.activity")
    finally:
        await connection.close()
    return {tuple(one)[:-1]: one["n"] for one in cells}, {tuple(one)[:-1]: one["n"] for one in activity}


def folded_cells(partitions: Sequence[MemoryPartition]) -> Cells:
    """Return what cells count, but for calls; of a distribution how many durations it has."""
    found: Counter[tuple[Any, ...]] = Counter()
    for key, value in (item for partition in partitions for item in partition.tables[CELLS].items()):
        cell = Cell.decode(key)
        row, template = cell.row, cell.row.template or FREE_FORM
        named = (row.tenant, row.campaign, row.template is None, template.name, template.language)
        for flat, n in decode_counts(value).items():
            counter = BY_NAME[flat.partition(".")[0]]
            if counter.family != "call" and row.grain is not OPERATOR:
                name = counter.name if counter.kind == "seconds" else flat
                found[(*named, cell.number, cell.market, cell.quarter, name)] += n
    return dict(found)


def folded_activity(partitions: Sequence[MemoryPartition]) -> Cells:
    found: Counter[tuple[Any, ...]] = Counter()
    for key, value in (item for partition in partitions for item in partition.tables[ACTIVITY].items()):
        cell = ActivityCell.decode(key)
        for name, n in in_quarter(decode_minutes(value)).items():
            if name not in OF_CALLS:
                found[cell.tenant, cell.campaign, cell.number, cell.quarter, name] += n
    return dict(found)


def differing(left: Cells, right: Cells) -> list[tuple[Any, ...]]:
    keys = sorted(left.keys() | right.keys(), key=repr)
    return [(key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)]


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_every_counter_of_every_cell_is_what_plain_sql_counts(recount_database: str, seed: int) -> None:
    records = campaign(random.Random(seed), START_S, Size(contacts_per_campaign=60))
    cells, activity = await recounted_cells(recount_database, records)
    partitions = folded(records)

    assert len(cells) > 200
    assert len({key[6] for key in cells}) > 1
    assert differing(folded_cells(partitions), cells) == []
    assert differing(folded_activity(partitions), activity) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_facts_that_contradict_each_other_are_placed_as_plain_sql_decides(
    recount_database: str, seed: int
) -> None:
    rng = random.Random(seed)
    records = troubled(rng, mixed(rng, START_S, Size(contacts_per_campaign=60, calls_per_campaign=20)))
    cells, activity = await recounted_cells(recount_database, records)
    partitions = folded(records)

    assert differing(folded_cells(partitions), cells) == []
    assert differing(folded_activity(partitions), activity) == []
