"""C2 and C4: a reply that is lost, and a Postgres that is slow."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import Told
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
"""How many flushes may fail because they take longer: none, a transaction has six statements."""
GROWTH = 1.2
"""How many times as many rows a flush has at least when it comes less often."""


async def test_a_commit_whose_reply_is_lost_counts_once(tmp_path: Path) -> None:
    async with stack(tmp_path, names=("a",)) as deployment, Sender(deployment.settings) as sender:
        await deployment.start()
        async with flowing(sender, enough(302, 20, 200), 200) as flow:
            for _ in range(LOST_REPLIES):
                await _lose_a_reply(deployment)
                assert not flow.done()
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    assert deployment.exits == []


async def _lose_a_reply(deployment: Stack) -> None:
    """Cut the wire between COMMIT and its reply; it was committed if flush progress moved unseen."""
    worker, wire = deployment.workers[0], deployment.postgres_wire
    before, struck = await read(worker), wire.struck
    # Held up just before it writes, so that the next COMMIT is not that of somebody who reads.
    worker.arm("flush.write", BLOCK)
    await until(lambda: worker.has_fired("flush.write"), 20, "nothing is flushed")
    wire.cut_before_reply_to(b"COMMIT")
    await until(lambda: wire.struck > struck, 20, "no COMMIT was sent")
    await until_read(
        worker,
        lambda now: all(now.failed(kind) > before.failed(kind) for kind in ("connection", "moved")),
        20,
        "the reply was not lost, or nothing was committed",
    )


async def test_half_a_second_more_for_each_statement_makes_batches_larger_and_nothing_fail(
    tmp_path: Path, record_property: Told
) -> None:
    async with (
        stack(tmp_path, names=("a",), flush_seconds="0.2") as deployment,
        Sender(deployment.settings) as sender,
    ):
        await deployment.start()
        worker, wire = deployment.workers[0], deployment.postgres_wire
        async with flowing(sender, enough(304, SLOW_SECONDS + 10, 100), 100) as flow:
            await until_read(worker, lambda now: now.value("tally_flush_rows_total") > 100, 20, "no rows")
            readings, struck = [await read(worker)], wire.struck
            for seconds, delay in ((QUICK_SECONDS, 0.0), (SLOW_SECONDS, DELAY_SECONDS)):
                wire.delay_seconds = delay
                await asyncio.sleep(seconds)
                readings.append(await read(worker))
            assert not flow.done()
            assert wire.struck > struck
            wire.mend()
        await assert_exact(deployment, worker, sender.sent)

    quick, slow = (_rows_a_flush(*pair) for pair in pairwise(readings))
    record_property("rows_a_flush", (quick, slow))
    assert readings[2].failed() - readings[1].failed() <= TIMEOUTS
    assert slow >= GROWTH * quick, (quick, slow)
    assert deployment.exits == []


def _rows_a_flush(before: Scrape, after: Scrape) -> float:
    rows, flushes = (
        after.value(name) - before.value(name)
        for name in ("tally_flush_rows_total", "tally_flush_seconds_count")
    )
    return rows / flushes
