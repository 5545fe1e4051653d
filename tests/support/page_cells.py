"""Cells of made-up campaigns in Postgres: by time, number and market they add up to what the rows count."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson

from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.counters import ACTIVITY, BY_NAME
from tally.schemas.grains import RowKey
from tally.tables.postgres.columns import CELLED, NESTED, SUMMED, celled
from tests.support.page_worlds import MadeUp

GENERATION = 3
NUMBERS = ("15550001111", "15550002222")
MARKETS = ("NL", "BR", "IN", "")
PARTS = 8
CELL_KEYS = ("campaign", "quarter", "template_name", "template_language", "grain", "number", "market")
SUM_KEYS = ("campaign", "quarter", "grain")
ACTIVITY_KEYS = ("campaign", "quarter", "number", "queue")
ACTIVITY_SUM_KEYS = ("campaign", "quarter")
PROGRESS = """
INSERT INTO tally.sink_progress (generation, partition, store_id, states_topic, counters_topic, seq, rules, columns,
    states_offset, counters_offset, cut_at_ms, facts_offset, is_cut, epoch, is_pruned, writer, writes)
SELECT $1, nth - 1, 's1', 's', 'c', 1, '', '', 0, 0, 0, facts_offset, true, 0, true, '', 0
FROM unnest($2::bigint[]) WITH ORDINALITY AS given (facts_offset, nth)
"""
TABLES = ("cells", "cell_sums", "activity", "activity_sums", "sink_progress")
Cells = dict[tuple[Any, ...], Counter[str]]


async def write_cells(dsn: str, tenant: str, world: MadeUp, facts_offsets: list[int]) -> None:
    """Replace what Postgres holds by the cells of a world, and say up to where it has counted."""
    cells: Cells = {}
    for key, counts in world.rows.items():
        for cell, part in _parts(key, counts, world.spans[key.campaign]):
            cells.setdefault(cell, Counter()).update(part)
    sums, activity, activity_sums = Cells(), Cells(), Cells()
    for (campaign, quarter, _, _, grain, number, _), part in cells.items():
        _add(sums, (campaign, quarter, grain), part)
        happened = _happened(part)
        _add(activity, (campaign, quarter, number, ""), happened)
        _add(activity_sums, (campaign, quarter), happened)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(f"TRUNCATE {', '.join(f'tally.{name}' for name in TABLES)}")
            tables = (
                ("cells", CELL_KEYS, tuple(CELLED), cells),
                ("cell_sums", SUM_KEYS, SUMMED, sums),
                ("activity", ACTIVITY_KEYS, ACTIVITY, activity),
                ("activity_sums", ACTIVITY_SUM_KEYS, ACTIVITY, activity_sums),
            )
            for name, keys, columns, rows in tables:
                await connection.copy_records_to_table(
                    name,
                    schema_name="tally",
                    columns=("generation", "tenant", "partition", *keys, *columns),
                    records=list(_records(tenant, rows, columns)),
                )
            await connection.execute(PROGRESS, GENERATION, facts_offsets)
    finally:
        await connection.close()


def _parts(
    key: RowKey, counts: Counter[str], span: tuple[int, int]
) -> Iterator[tuple[tuple[Any, ...], Counter[str]]]:
    """Yield the cells of a row: each counter in as many parts, which differ, as a page has something to show."""
    rng = random.Random(f"{key.campaign} {key.template}")
    counted = {name: value for name, value in counts.items() if BY_NAME[name.partition(".")[0]].cells and value}
    quarters = range(span[0] // 1000 // QUARTER_SECONDS, span[1] // 1000 // QUARTER_SECONDS + 1)
    names = ("", "") if key.template is None else (key.template.name, key.template.language)
    grain = "campaign" if key.template is None else "template"
    for left in range(PARTS, 0, -1):
        part = Counter({name: value if left == 1 else rng.randint(0, 2 * value // left) for name, value in counted.items()})
        for name, value in part.items():
            counted[name] -= value
        at = datetime.fromtimestamp(rng.choice(quarters) * QUARTER_SECONDS, UTC)
        yield (key.campaign, at, *names, grain, rng.choice(NUMBERS), rng.choice(MARKETS)), part


def _happened(part: Counter[str]) -> Counter[str]:
    failed = part["failed_at_send"] + part["failed_after_send"]
    return Counter({name: failed if name == "failed" else part[name] for name in ACTIVITY})


def _add(cells: Cells, key: tuple[Any, ...], part: Counter[str]) -> None:
    cells.setdefault(key, Counter()).update(part)


def _records(tenant: str, rows: Cells, columns: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    for key, counts in rows.items():
        values = celled(counts)
        nested = {name: orjson.dumps(values[name]).decode() for name in NESTED if name in values}
        filled = values | nested
        yield (GENERATION, tenant, 0, *key, *(filled.get(name, None if name in NESTED else 0) for name in columns))
