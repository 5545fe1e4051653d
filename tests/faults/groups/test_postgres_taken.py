"""C8: no connection is free, or the one there is gets no answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import NAME, Told, connected, until_written
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import Worst, read, until_read, watching
from tests.faults.stack import Stack, stack

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180), pytest.mark.alone]

TAKEN_BEFORE = 36
"""Connections that are taken before anything is watched, since logins cost the machine something."""
TAKEN_SECONDS = 8.0
GRABBED_SECONDS = 20.0
DEADLINE_SECONDS = 10.0
"""What tally/tables/postgres/database.py gives a transaction, the wait for a connection included."""
GIVEN_UP_SECONDS = DEADLINE_SECONDS + 3.0
LIVE_LAG_SECONDS = 2.0

OTHERS = "SELECT pid FROM pg_stat_activity WHERE usename = current_user AND application_name <> $1"


async def test_while_no_connection_is_free_numbers_stay_live_and_the_failure_has_a_name(
    tmp_path: Path,
) -> None:
    async with (
        stack(tmp_path) as deployment,
        Sender(deployment.settings) as sender,
        _sessions(deployment.dsn, TAKEN_BEFORE) as taken,
    ):
        await deployment.start()
        await deployment.ready(deployment.workers[1])
        async with flowing(sender, enough(308, TAKEN_SECONDS + 15, 100), 100) as flow:
            await until_written(taken[0])
            async with watching(deployment.workers) as worst:
                await _take_all(deployment.dsn, taken)
                await asyncio.sleep(TAKEN_SECONDS)
            assert not flow.done()
            named = [(await read(worker)).failed("53") for worker in deployment.workers]
            _end(taken)
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    assert min(named) > 0, named
    _assert_live(deployment, worst)


async def test_a_pool_of_one_whose_statement_gets_no_answer_is_free_again_at_its_deadline(
    tmp_path: Path, record_property: Told
) -> None:
    async with (
        stack(tmp_path, names=("a",), postgres_pool_size="1") as deployment,
        Sender(deployment.settings) as sender,
    ):
        await deployment.start()
        worker, wire = deployment.workers[0], deployment.postgres_wire
        async with flowing(sender, enough(309, GIVEN_UP_SECONDS + 15, 100), 100) as flow:
            await until_read(worker, lambda now: now.value("tally_sink_rows_total") > 60, 20, "no rows")
            async with watching([worker]) as worst:
                wire.stall()
                given_up = await until_read(
                    worker, lambda now: now.failed("timeout") > 0, 2 * GIVEN_UP_SECONDS, "it waits for ever"
                )
                wire.mend()
            assert not flow.done()
        await assert_exact(deployment, worker, sender.sent)

    record_property("given_up_seconds", given_up)
    assert given_up <= GIVEN_UP_SECONDS, given_up
    assert wire.struck > 0
    _assert_live(deployment, worst)


def _assert_live(deployment: Stack, worst: Worst) -> None:
    assert (worst.dead, worst.unready) == (0, 0), worst
    assert worst.lag_seconds < LIVE_LAG_SECONDS, worst
    assert worst.readings > 0
    assert deployment.exits == []


@asynccontextmanager
async def _sessions(dsn: str, count: int) -> AsyncIterator[list[Any]]:
    taken = [await connected(dsn) for _ in range(count)]
    try:
        yield taken
    finally:
        _end(taken)


def _end(taken: list[Any]) -> None:
    while taken:
        taken.pop().terminate()


async def _take_all(dsn: str, taken: list[Any]) -> None:
    """Take every connection, those of the workers included."""
    began = time.monotonic()
    while others := await _others_after_a_grab(dsn, taken):
        assert time.monotonic() - began < GRABBED_SECONDS, f"workers keep {others} connections"


async def _others_after_a_grab(dsn: str, taken: list[Any]) -> int:
    """End the sessions of the workers, take all that is free; return how many they have again."""
    for row in await taken[0].fetch(OTHERS, NAME):
        await taken[0].execute("SELECT pg_terminate_backend($1)", row["pid"])
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            taken.append(await connected(dsn))
    return len(await taken[0].fetch(OTHERS, NAME))
