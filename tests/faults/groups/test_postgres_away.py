"""C1 and C3: Postgres goes away while rows are being written, for a moment or for long."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import Told
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.outages import postgres_away
from tests.faults.scrapes import Scrape, read, until_read
from tests.faults.stack import Stack, stack

STOPS = 5
RESUMED_SECONDS = 10.0
"""From Postgres being up to rows arriving, at most."""

AWAY_SECONDS = float(os.environ.get("FAULTS_AWAY_SECONDS", "60"))
"""The certificate has ten minutes of it, and so has the long form, with FAULTS_PER_SECOND=10000."""
PER_SECOND = float(os.environ.get("FAULTS_PER_SECOND", "500"))
RSS_GROWTH_BYTES = 64 << 20
LIVE_LAG_SECONDS = 2.0
CAUGHT_UP_SECONDS = 300.0

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240 + 3 * AWAY_SECONDS)]


async def test_rows_arrive_within_ten_seconds_of_each_of_five_sudden_stops(
    tmp_path: Path, record_property: Told
) -> None:
    async with stack(tmp_path, names=("a",)) as deployment, Sender(deployment.settings) as sender:
        await deployment.start()
        async with flowing(sender, enough(301, 30, 200), 200) as flow:
            resumed = [await _stopped_and_started(deployment) for _ in range(STOPS)]
            assert not flow.done()
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    record_property("resumed_seconds", max(resumed))
    assert max(resumed) <= RESUMED_SECONDS, resumed
    assert deployment.exits == []


async def _stopped_and_started(deployment: Stack) -> float:
    """Stop Postgres while rows are being written, and start it; return how long the next row took."""
    worker = deployment.workers[0]
    await until_read(worker, _more_rows(await read(worker)), 20, "no row is written")
    failed = (await read(worker)).failed("connection", "57")
    await asyncio.to_thread(deployment.postgres.stop_immediately)
    await until_read(
        worker, lambda now: now.failed("connection", "57") > failed, 20, "the sink noticed nothing"
    )
    await asyncio.to_thread(deployment.postgres.restart)
    return await until_read(worker, _more_rows(await read(worker)), 60, "no row is written any more")


def _more_rows(than: Scrape) -> Callable[[Scrape], bool]:
    written = than.value("tally_sink_rows_total")
    return lambda now: now.value("tally_sink_rows_total") > written


@pytest.mark.alone
async def test_a_minute_without_postgres_costs_no_memory_no_partition_and_no_liveness(
    tmp_path: Path, record_property: Told
) -> None:
    async with stack(tmp_path) as deployment, Sender(deployment.settings) as sender:
        await deployment.start()
        await deployment.ready(deployment.workers[1])
        outage = await postgres_away(deployment, sender, AWAY_SECONDS, PER_SECOND)
        await assert_exact(deployment, deployment.workers[0], sender.sent)

    record_property("outage", str(outage))
    assert outage.behind_seconds > AWAY_SECONDS - 10, outage
    assert outage.events > 0.9 * AWAY_SECONDS * PER_SECOND, outage
    assert outage.rss_growth_bytes <= RSS_GROWTH_BYTES, outage
    assert outage.rebalances == 0, outage
    assert outage.worst_lag_seconds < LIVE_LAG_SECONDS, outage
    # Readiness is about the live numbers, which do not need Postgres.
    assert outage.unwell == 0, outage
    assert outage.caught_up_seconds <= CAUGHT_UP_SECONDS, outage
    assert deployment.exits == []
