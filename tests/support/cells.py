"""Both judges of cells and activity: those that the fold keeps, and those that plain SQL counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tally.oracle.recount import connect, recount_cells
from tally.schemas.cells import QUARTER_MINUTES, ActivityCell, Cell, decode_counts, decode_minutes
from tally.schemas.counters import BY_NAME
from tally.schemas.grains import OPERATOR
from tally.schemas.keys import FREE_FORM
from tally.schemas.tables import ACTIVITY, CELLS
from tests.support.partition import MemoryPartition

Counted = dict[tuple[Any, ...], int]
SEND_CELLS = """SELECT tenant, campaign, is_total, template_name, template_language, number, market,
    quarter, counter, n FROM recount.cell"""
OPERATOR_CELLS = "SELECT tenant, pbx, operator, quarter, counter, n FROM recount.call_operator_cell"
ACTIVITY_CELLS = "SELECT tenant, campaign, number, queue, minute, counter, n FROM recount.activity"


class Cells(NamedTuple):
    """What cells count, each by its names and the counter's; of a distribution how many durations it has.

    Activity by the minute.
    """

    of_sends: Counted
    of_operators: Counted
    activity: Counted


async def recounted_cells(dsn: str) -> Cells:
    """Return what plain SQL counts by cell, of what was recounted last."""
    connection = await connect(dsn)
    try:
        await recount_cells(connection)
        found = [await connection.fetch(each) for each in (SEND_CELLS, OPERATOR_CELLS, ACTIVITY_CELLS)]
    finally:
        await connection.close()
    return Cells(*({tuple(row)[:-1]: row["n"] for row in rows} for rows in found))


def folded_cells(partitions: Sequence[MemoryPartition]) -> Cells:
    """Return what the cells of these partitions count."""
    of_sends, of_operators, activity = (Counter[tuple[Any, ...]]() for _ in range(3))
    for key, value in _entries(partitions, CELLS):
        cell = Cell.decode(key)
        row, template = cell.row, cell.row.template or FREE_FORM
        script = (template.name, template.language)
        names = (row.tenant, row.campaign, row.template is None, *script, cell.number, cell.market)
        for flat, n in decode_counts(value).items():
            if row.grain is OPERATOR:
                of_operators[(row.tenant, *script, cell.quarter, flat)] += n
            else:
                counter = BY_NAME[flat.partition(".")[0]]
                of_sends[(*names, cell.quarter, counter.name if counter.kind == "seconds" else flat)] += n
    for key, value in _entries(partitions, ACTIVITY):
        at = ActivityCell.decode(key)
        for name, minutes in decode_minutes(value).items():
            for minute, n in minutes.items():
                in_all = at.quarter * QUARTER_MINUTES + minute
                activity[at.tenant, at.campaign, at.number, at.queue, in_all, name] += n
    return Cells(dict(of_sends), dict(of_operators), dict(activity))


def _entries(partitions: Iterable[MemoryPartition], table: str) -> Iterable[tuple[bytes, bytes]]:
    return (entry for partition in partitions for entry in partition.tables[table].items())


def differing(left: Cells, right: Cells) -> list[tuple[Any, ...]]:
    """Return every counter of a cell in which two judges differ, with what each says."""
    pairs = [
        (mine, theirs, key) for mine, theirs in zip(left, right, strict=True) for key in {**mine, **theirs}
    ]
    found = [(key, mine.get(key), theirs.get(key)) for mine, theirs, key in pairs]
    return sorted((one for one in found if one[1] != one[2]), key=repr)
