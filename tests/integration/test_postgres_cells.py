"""Cells and activity come to a real Postgres, keep their laws there, and go where they come to nothing."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bench.load import Size, load
from tally.agents.fold.batch import fold_batch
from tally.agents.fold.rows import cell_corrections, corrections, recount
from tally.deploy import migrate
from tally.schemas.cells import ActivityCell, Cell, decode_counts, decode_minutes, in_quarter
from tally.schemas.grains import RowKey
from tally.schemas.records import Keyed
from tally.schemas.sources import READERS
from tally.schemas.tables import ACTIVITY, CELLS, CODES
from tally.schemas.topics import COUNTERS
from tally.tables.postgres.laws import (
    ACTIVITY_SUMS_UP_TO_CAMPAIGNS,
    ROWS_ARE_SUMS_OF_CELLS,
    SUMS_ARE_OF_CELLS,
)
from tally.tables.postgres.rollups import OF_ACTIVITY as ACTIVITY_ROLLUPS
from tally.tables.postgres.rollups import ROLLUPS
from tally.tables.rules import Rules
from tests.integration.test_postgres_sink import Process, process
from tests.support.partition import MemoryPartition, record
from tests.support.recordings import facts_of, read_recording, recordings

pytestmark = pytest.mark.asyncio

DOCS = Path(__file__).parents[2] / "docs" / "cells.md"
SUMS = tuple(one.name.removeprefix("tally.") for one in ROLLUPS)
LAWS = (ROWS_ARE_SUMS_OF_CELLS, SUMS_ARE_OF_CELLS, ACTIVITY_SUMS_UP_TO_CAMPAIGNS)
WRONG = (
    "UPDATE tally.cells SET accepted = accepted + 1 WHERE accepted IS NOT NULL",
    "UPDATE tally.cells SET pricing = jsonb_build_object('marketing/regular', 7000)",
    "DELETE FROM tally.cells WHERE accepted > 0",
    "UPDATE tally.counters SET read = read + 1",
    "UPDATE tally.activity SET failed = failed + 1",
    "DELETE FROM tally.activity_sums",
    "UPDATE tally.cells_by_market SET market = 'XX' WHERE market = 'BR'",
    "UPDATE tally.cells_by_hour SET sent = sent + 1 WHERE sent > 0",
    "UPDATE tally.cells_by_hour SET slot = (slot + 1) % 96",
    "UPDATE tally.cell_sums SET read = coalesce(read, 0) + 1",
    "DELETE FROM tally.tenant_sums WHERE accepted > 0",
    "UPDATE tally.tenant_sums SET quarter = quarter + interval '1 day'",
    "UPDATE tally.tenant_activity_sums SET read = read + 1",
)
SUMMED = "SELECT coalesce(sum(accepted), 0), coalesce(sum(failed), 0), coalesce(sum(replied), 0) FROM tally."


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


def facts() -> list[Keyed]:
    """Return facts of campaigns of both channels, and of operators."""
    found = [keyed for one in load(Size(150), seed=3) for keyed in READERS[one.topic](one.value).facts]
    return found + [keyed for path in recordings() for keyed in facts_of(read_recording(path))]


def fold(ours: Process, partition: MemoryPartition, some: Sequence[Keyed]) -> None:
    """Fold facts, and commit what they change in rows and cells to the logs that the sink reads."""
    records = [record(partition.next_offset + nth, keyed) for nth, keyed in enumerate(some)]
    writes = fold_batch(records, partition, Rules()).writes
    partition.apply(writes)
    partition.next_offset += len(some)
    commit(ours, writes)


def commit(ours: Process, writes: dict[str, dict[bytes, bytes | None]]) -> None:
    cells = {
        CODES[table] + key: value
        for table in (CELLS, ACTIVITY)
        for key, value in writes.get(table, {}).items()
    }
    ours.partition.commit(writes.get(COUNTERS, {}), cells)


async def level(ours: Process) -> None:
    """Run the sink until Postgres shows the partition's last moment."""
    await ours.run_until_cut(60.0)


async def broken(ours: Process) -> list[tuple[Any, ...]]:
    return [one for law in LAWS for one in await ours.sql(law, 1)]


async def test_every_cell_arrives_with_what_it_counts_and_all_laws_hold(migrated: str) -> None:
    partition, rest = MemoryPartition(), facts()
    async with process(migrated) as ours:
        while rest:
            some, rest = rest[: len(rest) // 2 + 1], rest[len(rest) // 2 + 1 :]
            fold(ours, partition, some)
            await level(ours)
            assert await broken(ours) == []
        assert await held_cells(ours) == {
            Cell.decode(key): decode_counts(value).get("accepted")
            for key, value in partition.tables[CELLS].items()
        }
        assert await held_activity(ours) == {
            ActivityCell.decode(key): in_quarter(decode_minutes(value)).get("delivered", 0)
            for key, value in partition.tables[ACTIVITY].items()
        }
        for table in ("activity_sums", "tenant_activity_sums"):
            assert await ours.sql(SUMMED + "activity") == await ours.sql(SUMMED + table)


OTHERS = (
    "UPDATE tally.cells SET sent = sent + 1 WHERE sent > 0",
    "UPDATE tally.cells SET read = coalesce(read, 0) + 2, delivered = NULL",
    "UPDATE tally.cells SET epoch = epoch - 1 WHERE market = 'BR'",
    "DELETE FROM tally.cells WHERE market = 'BR'",
)
"""What another version may write, which knows more counters or fewer; and what an epoch leaves, and goes."""
OF_ACTIVITY = (
    "UPDATE tally.activity SET failed = failed + 3",
    "DELETE FROM tally.activity WHERE accepted > 2",
)


async def test_sums_follow_whatever_writes_cells(migrated: str) -> None:
    partition = MemoryPartition()
    async with process(migrated) as ours:
        fold(ours, partition, facts())
        await level(ours)
        for sql in OTHERS:
            assert await ours.sql(f"{sql} RETURNING 1") != []
            if "SET epoch" not in sql:  # sums lack those at once, and the law counts them until they go
                assert await ours.sql(SUMS_ARE_OF_CELLS, 1) == []
        for sql in OF_ACTIVITY:
            assert await ours.sql(f"{sql} RETURNING 1") != []
            held = await ours.sql(f"{SUMMED}activity")
            for one in ACTIVITY_ROLLUPS:
                assert await ours.sql(SUMMED + one.name.removeprefix("tally.")) == held


async def test_the_query_of_the_docs_gives_a_campaigns_days(migrated: str) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    query = query.replace("'acme'", "'tenant-0'").replace("'spring'", "'campaign-0'")
    partition = MemoryPartition()
    async with process(migrated) as ours:
        fold(ours, partition, facts())
        await level(ours)
        days = await ours.sql(query)
        (of_row,) = await ours.sql(
            "SELECT sum(accepted), sum(delivered) FROM tally.counters"
            " WHERE tenant = 'tenant-0' AND campaign = 'campaign-0' AND grain = 'template'"
        )

    assert (sum(day[1] for day in days), sum(day[2] for day in days)) == of_row
    assert of_row[1] > 0


async def held_cells(ours: Process) -> dict[Cell, int | None]:
    found = await ours.sql(
        "SELECT tenant, campaign, template_name, template_language, grain, number, market,"
        " extract(epoch FROM quarter)::bigint / 900, accepted FROM tally.cells"
    )
    names = ("tenant", "campaign", "template_name", "template_language", "grain")
    return {Cell(RowKey.of_columns(dict(zip(names, one, strict=False))), *one[5:8]): one[8] for one in found}


async def held_activity(ours: Process) -> dict[ActivityCell, int]:
    found = await ours.sql(
        "SELECT tenant, campaign, number, queue, extract(epoch FROM quarter)::bigint / 900, delivered"
        " FROM tally.activity"
    )
    return {ActivityCell(*one[:5]): one[5] for one in found}


async def test_cells_that_come_to_nothing_go_and_their_sums_too(migrated: str) -> None:
    partition, all_facts = MemoryPartition(), facts()
    async with process(migrated) as ours:
        fold(ours, partition, all_facts[:400])
        await level(ours)
        half = recount(list(partition.states())[::2], Rules(), partition.next_offset)
        held = {table: dict(partition.tables[table]) for table in (CELLS, ACTIVITY, COUNTERS)}
        commit(
            ours,
            {
                COUNTERS: corrections(held[COUNTERS], half.rows, partition.next_offset),
                **{table: cell_corrections(held[table], counted) for table, counted in half.cells.items()},
            },
        )
        await level(ours)
        assert await broken(ours) == []
        assert await ours.sql("SELECT count(*) FROM tally.cells") == [(len(half.cells[CELLS]),)]
        assert len(half.cells[CELLS]) < len(held[CELLS])
        commit(ours, {table: dict.fromkeys(entries) for table, entries in half.cells.items()})
        await level(ours)
        assert (
            await ours.sql("SELECT tenant FROM tally.cells UNION ALL SELECT tenant FROM tally.activity") == []
        )
        for table in SUMS:
            left = f"SELECT DISTINCT coalesce(accepted, 0), coalesce(sent, 0) FROM tally.{table}"  # noqa: S608
            assert await ours.sql(left) == [(0, 0)]


async def test_an_epoch_deletes_the_cells_that_it_has_not_written(migrated: str) -> None:
    partition, all_facts = MemoryPartition(), facts()
    async with process(migrated) as ours:
        fold(ours, partition, all_facts[:300])
        await level(ours)
        await ours.sql("UPDATE tally.cells SET market = 'XX' WHERE accepted > 0")
        await ours.sql("UPDATE tally.activity SET number = number || '-stray', accepted = accepted + 1")
        for table in SUMS:
            await ours.sql(f"UPDATE tally.{table} SET tenant = tenant || '-stray', accepted = 7")  # noqa: S608
            await ours.sql(f"UPDATE tally.{table} SET accepted = accepted + 7")  # noqa: S608
        assert await broken(ours) != []
        await ours.sql("UPDATE tally.sink_progress SET columns = ''")
        fold(ours, partition, all_facts[300:400])
        await level(ours)
        assert await broken(ours) == []
        assert set(await held_cells(ours)) == {Cell.decode(key) for key in partition.tables[CELLS]}
        assert set(await held_activity(ours)) == {
            ActivityCell.decode(key) for key in partition.tables[ACTIVITY]
        }


async def test_the_laws_see_a_count_too_many_too_few_and_in_another_row(migrated: str) -> None:
    partition = MemoryPartition()
    async with process(migrated) as ours:
        fold(ours, partition, facts()[:600])
        await level(ours)
        assert await broken(ours) == []
        connection = await asyncpg.connect(ours.dsn)
        try:
            for wrong in WRONG:
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(wrong)
                assert [one for law in LAWS for one in await connection.fetch(law, 1)] != [], wrong
                await transaction.rollback()
        finally:
            await connection.close()
