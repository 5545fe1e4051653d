"""C2 and C4: a reply that is lost, and a Postgres that is slow."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import Told, session
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import Scrape, read, until_read
from tests.faults.stack import Stack, stack, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

LOST_REPLIES = 5
BLOCK = "block0.3"

DELAY_SECONDS = 0.5
QUICK_SECONDS, SLOW_SECONDS = 5.0, 15.0
TIMEOUTS = 0
"""How many writes may fail because they take longer: none, a transaction has six statements."""
GROWTH = 1.2
"""How many times as many rows a write has at least when it comes less often."""


async def test_a_commit_whose_reply_is_lost_counts_once(tmp_path: Path) -> None:
    async with stack(tmp_path, names=("a",)) as deployment, Sender(deployment.settings) as sender:
        await deployment.start()
        async with flowing(sender, enough(302, 20, 200), 200) as flow:
            for _ in range(LOST_REPLIES):
                await _lose_a_reply(deployment)
                assert not flow.done()
        await assert_exact(deployment, deployment.workers[0], sender.sent)
        unseen = await _committed_unseen(deployment)

    assert unseen > 0, "every COMMIT whose reply was lost was one of reading: the run is void"
    assert deployment.exits == []


async def _lose_a_reply(deployment: Stack) -> None:
    """Cut the wire between COMMIT and its reply."""
    worker, wire = deployment.workers[0], deployment.postgres_wire
    before, struck = await read(worker), wire.struck
    # Held up just before it writes, so that the next COMMIT is not that of somebody who reads.
    worker.arm("sink.write", BLOCK)
    await until(lambda: worker.has_fired("sink.write"), 20, "nothing is written")
    wire.cut_before_reply_to(b"COMMIT")
    await until(lambda: wire.struck > struck, 20, "no COMMIT was sent")
    await until_read(
        worker,
        lambda now: now.failed("connection") > before.failed("connection"),
        20,
        "the reply was not lost",
    )


async def _committed_unseen(deployment: Stack) -> int:
    """Return how many writes Postgres holds more than the worker knows of."""
    async with session(deployment.dsn) as observer:
        committed = await observer.fetchval("SELECT sum(writes)::bigint FROM tally.sink_progress")
    known = (await read(deployment.workers[0])).value("tally_sink_seconds_count")
    return int(committed - known)


async def test_half_a_second_more_for_each_statement_makes_batches_larger_and_nothing_fail(
    tmp_path: Path, record_property: Told
) -> None:
    async with (
        stack(tmp_path, names=("a",), sink_seconds="0.2") as deployment,
        Sender(deployment.settings) as sender,
    ):
        await deployment.start()
        worker, wire = deployment.workers[0], deployment.postgres_wire
        async with flowing(sender, enough(304, SLOW_SECONDS + 10, 100), 100) as flow:
            await until_read(worker, lambda now: now.value("tally_sink_rows_total") > 100, 20, "no rows")
            readings, struck = [await read(worker)], wire.struck
            for seconds, delay in ((QUICK_SECONDS, 0.0), (SLOW_SECONDS, DELAY_SECONDS)):
                wire.delay_seconds = delay
                await asyncio.sleep(seconds)
                readings.append(await read(worker))
            assert not flow.done()
            assert wire.struck > struck
            wire.mend()
        await assert_exact(deployment, worker, sender.sent)

    quick, slow = (_rows_a_write(*pair) for pair in pairwise(readings))
    record_property("rows_a_write", (quick, slow))
    assert readings[2].failed() - readings[1].failed() <= TIMEOUTS
    assert slow >= GROWTH * quick, (quick, slow)
    assert deployment.exits == []


def _rows_a_write(before: Scrape, after: Scrape) -> float:
    rows, writes = (
        after.value(name) - before.value(name)
        for name in ("tally_sink_rows_total", "tally_sink_seconds_count")
    )
    return rows / writes
