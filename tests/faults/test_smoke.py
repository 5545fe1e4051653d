"""The most telling faults, one of each kind: nothing is lost, doubled or wrong."""

from pathlib import Path

import pytest

from tests.faults.run import run

SEED, EVENTS, FAULTS, KILLS = 3, 6_000, 7, 2


@pytest.mark.asyncio
@pytest.mark.timeout(300)
async def test_kills_a_zombie_a_wiped_disk_and_servers_that_go_away_change_no_number(tmp_path: Path) -> None:
    outcome = await run(tmp_path, SEED, EVENTS, FAULTS, KILLS)

    assert outcome.differences == []
    assert (outcome.lost, outcome.doubled, outcome.drift) == (0, 0, 0)
    assert sum(outcome.faults.values()) == FAULTS
    assert len(outcome.faults) == 6
