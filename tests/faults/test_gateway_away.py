"""A short form of the group's test of a gateway without brokers, for each change."""

from pathlib import Path

import pytest

from tests.faults.gateway_away import stay_away

AWAY_SECONDS = 6.0
"""Two rounds of refusals, which take 2.5 s each."""


@pytest.mark.asyncio
@pytest.mark.long
async def test_a_gateway_whose_broker_is_frozen_refuses_in_time_and_goes_on_after_it(tmp_path: Path) -> None:
    (await stay_away(tmp_path, "freeze", AWAY_SECONDS)).check()
