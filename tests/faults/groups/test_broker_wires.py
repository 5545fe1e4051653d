"""Group B, what lies between a worker and the broker: wires that are cut or go dead."""

from pathlib import Path

import pytest

from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.outages import How, broker_cut
from tests.faults.stack import stack

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]

IN_PLACE_SECONDS = 15.0
"""After a short outage numbers are live again so soon, whether the process had to be started again or not."""


@pytest.mark.parametrize(("seconds", "how"), [(5.0, "cut"), (30.0, "cut"), (5.0, "stall"), (30.0, "stall")])
async def test_a_wire_that_comes_back_is_gone_on_with_by_itself(
    tmp_path: Path, seconds: float, how: How
) -> None:
    async with stack(tmp_path, ("a",)) as deployment:
        await deployment.start()
        async with Sender(deployment.settings) as sender:
            severed = await broker_cut(deployment, sender, seconds, how, seed=411)
            await assert_exact(deployment, deployment.workers[0], sender.sent)

    assert severed.struck > 0
    assert severed.live_seconds <= IN_PLACE_SECONDS, severed
