"""C7: a row that Postgres does not take, in a batch with others that it does."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.flow import enough, flowing
from tests.faults.groups.sessions import Told, session, until_written
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import read, until_read
from tests.faults.stack import stack, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

WITHHELD_ROWS = 1
SINK_SECONDS = 1.0
OTHERS_SECONDS = 2 * SINK_SECONDS
"""How long ago the newest of the partition's other rows may have come."""
SEEN_SECONDS = 8.0

REFUSE_A_HOT_ROW = """
SELECT partition, format(
    'ALTER TABLE tally.counters ADD CONSTRAINT strange CHECK (NOT (partition = %s AND tenant = %L'
    ' AND campaign = %L AND template_name = %L AND template_language = %L AND grain = %L))'
    ' NOT VALID',
    partition, tenant, campaign, template_name, template_language, grain) AS statement
FROM tally.counters ORDER BY next_offset DESC LIMIT 1
"""
OTHERS_AGE = """
SELECT extract(epoch FROM clock_timestamp() - max(updated_at))::float FROM tally.counters WHERE partition = $1
"""


async def test_a_row_that_cannot_be_stored_is_withheld_and_the_others_of_its_batch_arrive(
    tmp_path: Path, record_property: Told
) -> None:
    async with (
        stack(tmp_path, names=("a",), sink_seconds=str(SINK_SECONDS)) as deployment,
        Sender(deployment.settings) as sender,
        session(deployment.dsn) as owner,
    ):
        await deployment.start()
        worker = deployment.workers[0]
        async with flowing(sender, enough(307, SEEN_SECONDS + 30, 200), 200) as flow:
            await until_written(owner)
            refused = await owner.fetchrow(REFUSE_A_HOT_ROW)
            await owner.execute(refused["statement"])
            await until_read(worker, lambda now: now.value("tally_withheld_rows") > 0, 20, "all was taken")
            others = await _oldest(owner, refused["partition"])
            withheld = (await read(worker)).value("tally_withheld_rows")
            assert not flow.done()
            await owner.execute("ALTER TABLE tally.counters DROP CONSTRAINT strange")
            # A withheld row is tried again after five minutes, or when a worker starts.
            worker.signal(signal.SIGTERM)
            await until(lambda: bool(deployment.exits), 30, "the worker does not stop")
        await deployment.ready(worker)
        await assert_exact(deployment, worker, sender.sent)

    record_property("others_seconds", others)
    assert withheld == WITHHELD_ROWS
    assert others <= OTHERS_SECONDS, others
    assert deployment.exits == [(worker.name, 0)]


async def _oldest(owner: Any, partition: int) -> float:
    """Return for how long at most no row of a partition came."""
    loop = asyncio.get_running_loop()
    began, oldest = loop.time(), 0.0
    while loop.time() - began < SEEN_SECONDS:
        oldest = max(oldest, await owner.fetchval(OTHERS_AGE, partition))
        await asyncio.sleep(0.05)
    return oldest
