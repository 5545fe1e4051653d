"""C9: tables that are migrated, rolled back or restored from a dump while workers run."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tally.deploy import migrate
from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import Told, session, until_written
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import read, until_read
from tests.faults.stack import Stack, stack

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

MIGRATED_SECONDS = 10.0
"""How long each statement of a migration waits for its moment, at most."""
MIGRATION = (
    "ALTER TABLE tally.counters ADD COLUMN of_next_year bigint NOT NULL DEFAULT 0",
    "CREATE INDEX CONCURRENTLY counters_next_year ON tally.counters (of_next_year)",
    "DROP INDEX CONCURRENTLY tally.counters_next_year",
    "ALTER TABLE tally.counters DROP COLUMN of_next_year",
)
TIMES = 2
TAKEN_AWAY = "ALTER TABLE tally.counters DROP COLUMN accepted CASCADE, DROP COLUMN errors CASCADE"
"""The views go with them."""

DUMPED_SECONDS = 4.0
QUIET_SECONDS = 60.0
TABLES = ("sink_progress", "counters", "current_generation")
"""In the order in which a sink locks them."""
DUMP = "CREATE SCHEMA dump; " + "; ".join(
    f"CREATE TABLE dump.{table} AS TABLE tally.{table}" for table in TABLES
)
RESTORE = f"TRUNCATE {', '.join(f'tally.{table}' for table in TABLES)}; " + "; ".join(
    f"INSERT INTO tally.{table} TABLE dump.{table}" for table in TABLES
)


async def test_columns_and_indexes_come_and_go_under_load(tmp_path: Path, record_property: Told) -> None:
    async with stack(tmp_path) as deployment, Sender(deployment.settings) as sender:
        await deployment.start()
        async with (
            flowing(sender, enough(310, 40, 200), 200) as flow,
            session(deployment.dsn) as owner,
        ):
            await until_written(owner)
            seconds = [await _timed(owner, statement) for statement in MIGRATION * TIMES]
            assert not flow.done()
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    record_property("migrated_seconds", max(seconds))
    assert max(seconds) <= MIGRATED_SECONDS, seconds
    assert deployment.exits == []


async def _timed(owner: Any, statement: str) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await owner.execute(statement)
    await asyncio.sleep(1.0)
    return loop.time() - began - 1.0


async def test_columns_that_are_taken_away_and_rendered_again_heal_without_a_hand(tmp_path: Path) -> None:
    async with (
        stack(tmp_path, names=("a",)) as deployment,
        Sender(deployment.settings) as sender,
        session(deployment.dsn) as owner,
    ):
        await deployment.start()
        async with flowing(sender, enough(311, 20, 200), 200) as flow:
            await until_written(owner)
            await _taken_back_and_applied(deployment)
            assert not flow.done()
        await deployment.counted(deployment.workers[0], QUIET_SECONDS)
        # Once more when no event makes a row dirty.
        await _taken_back_and_applied(deployment)
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    assert deployment.exits == []


async def _taken_back_and_applied(deployment: Stack) -> None:
    """Let columns be gone until Postgres has said so by name: then somebody has to act."""
    worker = deployment.workers[0]
    before = await read(worker)
    async with session(deployment.dsn) as owner:
        await owner.execute(TAKEN_AWAY)
    await until_read(worker, lambda now: now.failed("42") > before.failed("42"), 30, "no column is missed")
    await asyncio.to_thread(migrate.up, deployment.dsn)


async def test_a_dump_that_is_restored_under_live_workers_heals_without_a_hand(tmp_path: Path) -> None:
    async with (
        stack(tmp_path) as deployment,
        Sender(deployment.settings) as sender,
        session(deployment.dsn) as owner,
    ):
        await deployment.start()
        await deployment.ready(deployment.workers[1])
        async with flowing(sender, enough(312, 20, 200), 200) as flow:
            await until_written(owner)
            await owner.execute(DUMP)
            await asyncio.sleep(DUMPED_SECONDS)
            await _restored(deployment, owner)
            assert not flow.done()
        await deployment.counted(deployment.workers[0], QUIET_SECONDS)
        # Once more when no event makes a row dirty.
        await _restored(deployment, owner)
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    assert deployment.exits == []


async def _restored(deployment: Stack, owner: Any) -> None:
    """Put the rows of the dump back; a worker sees that progress is not what it left there."""
    worker = deployment.workers[0]
    before = await read(worker)
    await owner.execute(f"BEGIN; {RESTORE}; COMMIT")
    await until_read(
        worker, lambda now: now.failed("moved") > before.failed("moved"), 30, "no progress went back"
    )
