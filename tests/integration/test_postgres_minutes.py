"""Minutes in a real Postgres: at every cut those of the activity cells of two days, and no other."""

import random
import time
from datetime import datetime

import pytest

from tally.deploy import migrate
from tally.schemas.cells import ActivityCell, Minutes, encode_minutes
from tally.schemas.tables import ACTIVITY, CODES
from tally.tables.postgres.laws import SUMS_ARE_OF_CELLS
from tests.integration.test_postgres_cells import level
from tests.integration.test_postgres_sink import Process, process

pytestmark = pytest.mark.asyncio

QUARTER, HOUR = 900, 3_600
NAMES = ("accepted", "sent", "delivered", "read", "connects")
Cells = dict[ActivityCell, Minutes]
ByMinute = dict[tuple[str, str, str, int], dict[str, int]]


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


def drawn(rng: random.Random) -> Minutes:
    """Return counts of some minutes of some counters; sometimes none."""
    found = {
        name: {minute: rng.randint(1, 9) for minute in sorted(rng.sample(range(15), rng.randint(1, 15)))}
        for name in rng.sample(NAMES, rng.randint(0, len(NAMES)))
    }
    return dict(sorted(found.items()))


def cells(now_s: float) -> list[ActivityCell]:
    """Return cells of now, of two days ago within the hour that is kept longer, and of before."""
    now = int(now_s) // QUARTER
    return [
        ActivityCell("t1", campaign, number, queue, now - back)
        for campaign in ("c1", "c2")
        for number, queue in (("n1", ""), ("n2", ""), ("pbx", "sales"))
        for back in (0, 1, 2, 100, 190, 200, 3_000)
    ]


def commit(ours: Process, changed: Cells) -> None:
    ours.partition.commit(
        {},
        {
            CODES[ACTIVITY] + cell.encode(): encode_minutes(minutes) if minutes else None
            for cell, minutes in changed.items()
        },
    )


async def shown(ours: Process) -> ByMinute:
    found = await ours.sql(
        "SELECT campaign, number, queue, extract(epoch FROM minute)::bigint,"  # noqa: S608
        f" {', '.join(NAMES)} FROM tally.minutes"
    )
    return {one[:4]: dict(zip(NAMES, one[4:], strict=True)) for one in found}


def by_minute(held: Cells) -> ByMinute:
    found: ByMinute = {}
    for cell, minutes in held.items():
        for name, counts in minutes.items():
            for minute, count in counts.items():
                at_s = cell.quarter * QUARTER + minute * 60
                key = cell.campaign, cell.number, cell.queue, at_s
                found.setdefault(key, dict.fromkeys(NAMES, 0))[name] = count
    return found


def since(at_s: float, found: ByMinute) -> ByMinute:
    return {key: counts for key, counts in found.items() if key[3] >= at_s}


async def agree(ours: Process, held: Cells) -> None:
    """Compare what Postgres shows with the cells: of 48 hours all of it, of more than 49 nothing."""
    now_s, found = time.time(), await shown(ours)
    assert since(now_s - 48 * HOUR, found) == since(now_s - 48 * HOUR, by_minute(held))
    assert since(now_s - 49 * HOUR - 2 * QUARTER, found) == found
    assert await ours.sql(SUMS_ARE_OF_CELLS, 1) == []


@pytest.mark.parametrize("seed", range(3))
async def test_minutes_are_those_of_the_cells_at_every_cut(migrated: str, seed: int) -> None:
    rng = random.Random(seed)
    held: Cells = {}
    async with process(migrated) as ours:
        for turn in range(8):
            some = rng.sample(cells(time.time()), 12)
            changed = {cell: drawn(rng) for cell in some}
            commit(ours, changed)
            held |= changed
            await level(ours)
            await agree(ours, held)
            if turn == 4:
                # A reading of the logs from their start, of which strays are none.
                await ours.sql("UPDATE tally.minutes SET number = number || '-stray', sent = sent + 1")
                await ours.sql("UPDATE tally.sink_progress SET columns = ''")
        assert await shown(ours)


async def test_an_event_that_moves_to_another_minute_leaves_nothing_where_it_was(migrated: str) -> None:
    now = int(time.time()) // QUARTER
    cell = ActivityCell("t1", "c1", "n1", "", now - 1)
    async with process(migrated) as ours:
        commit(ours, {cell: {"sent": {3: 1}, "read": {9: 2}}})
        await level(ours)
        commit(ours, {cell: {"sent": {4: 1}, "read": {9: 2}}})
        await level(ours)
        assert await ours.sql(
            "SELECT extract(epoch FROM minute)::bigint, sent, read FROM tally.minutes ORDER BY 1"
        ) == [((now - 1) * QUARTER + 4 * 60, 1, 0), ((now - 1) * QUARTER + 9 * 60, 0, 2)]
        commit(ours, {cell: {}})
        await level(ours)
        assert await ours.sql("SELECT count(*) FROM tally.minutes") == [(0,)]


async def test_minutes_of_more_than_two_days_are_removed_with_the_next_write(migrated: str) -> None:
    now = int(time.time()) // QUARTER
    async with process(migrated) as ours:
        commit(ours, {ActivityCell("t1", "c1", "n1", "", now): {"sent": {0: 1}}})
        await level(ours)
        await ours.sql("UPDATE tally.minutes SET minute = minute - interval '50 hours'")
        assert await ours.sql("SELECT count(*) FROM tally.minutes") == [(1,)]
        commit(ours, {ActivityCell("t1", "c2", "n1", "", now): {"read": {1: 1}}})
        await level(ours)
        assert await ours.sql("SELECT campaign, minute FROM tally.minutes") == [
            ("c2", datetime.fromtimestamp(now * QUARTER + 60).astimezone())
        ]


async def test_the_laws_see_a_minute_too_many_and_one_too_few(migrated: str) -> None:
    now = int(time.time()) // QUARTER
    async with process(migrated) as ours:
        commit(ours, {ActivityCell("t1", "c1", "n1", "", now - 1): {"sent": {0: 4, 7: 1}}})
        await level(ours)
        for wrong in (
            "UPDATE tally.minutes SET sent = sent + 1 WHERE sent = 4",
            "UPDATE tally.minutes SET minute = minute + interval '15 minutes' WHERE sent = 4",
            "DELETE FROM tally.minutes WHERE sent = 1",
        ):
            await ours.sql("CREATE TABLE held AS TABLE tally.minutes")
            await ours.sql(wrong)
            assert await ours.sql(SUMS_ARE_OF_CELLS, 1) != [], wrong
            await ours.sql("TRUNCATE tally.minutes")
            await ours.sql("INSERT INTO tally.minutes TABLE held")
            await ours.sql("DROP TABLE held")
            assert await ours.sql(SUMS_ARE_OF_CELLS, 1) == []
