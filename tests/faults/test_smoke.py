"""The most telling faults, one of each kind, leave no number lost, doubled or wrong."""

from pathlib import Path

import pytest

from tests.faults.run import run

pytestmark = pytest.mark.long

SEED, EVENTS, KILLS = 3, 6_000, 2
OTHERS = frozenset(
    {"wipe", "pause", "raise", "kill-at-point", "cut-kafka", "kill-broker", "stop-postgres", "cut-commit"}
)


@pytest.mark.asyncio
@pytest.mark.timeout(300)
async def test_faults_of_workers_broker_postgres_and_wires_change_no_number(tmp_path: Path) -> None:
    outcome = await run(tmp_path, SEED, EVENTS, KILLS + len(OTHERS), KILLS, OTHERS)

    assert outcome.verdict.is_exact, outcome.verdict
    assert outcome.fallen == []
    assert outcome.faults == {"kill": KILLS} | dict.fromkeys(OTHERS, 1)
