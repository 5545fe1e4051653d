"""A1: SIGKILL at every place on an event's way, and again and again at one."""

import signal
from pathlib import Path

import pytest

from tally.streams.operations import dead_letters
from tests.faults.flow import enough
from tests.faults.groups.striking import FIRED_SECONDS, loaded, measured, strike
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.points import POINTS
from tests.faults.scrapes import read
from tests.faults.stack import SESSION_SECONDS, stack, until
from tests.support.judge import simulated

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]

KILLED = -signal.SIGKILL
PER_SECOND = 80
COUNTED_AGAIN_SECONDS = SESSION_SECONDS + 3.0
"""From a kill to live numbers that hold everything from before it, at most."""
KILLS = 50


async def test_a_kill_at_any_point_is_exact_and_others_count_on_within_a_session_and_three_seconds(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        victim, witness = whole.workers
        await whole.start()
        async with loaded(sender, enough(401, 150, PER_SECOND), PER_SECOND):
            await whole.ready(witness)
            blows = []
            for point in POINTS:
                await whole.ready(victim)
                blows.append(await strike(whole, victim, point, "kill", KILLED, witness))
        await assert_exact(whole, witness, sender.sent)
    counted = {blow.point: blow.counted_seconds or 0.0 for blow in blows}
    measured("A1 counted again", counted)

    assert min(counted.values()) > 0
    assert max(counted.values()) <= COUNTED_AGAIN_SECONDS, counted
    # One kill more: the one that made the next life open its partitions anew.
    assert whole.exits == [(victim.name, KILLED)] * (len(POINTS) + 1)


async def test_fifty_kills_at_one_place_never_quarantine_a_good_fact(tmp_path: Path) -> None:
    # The shortest session: the next life waits for it before the group lets it have its partitions again.
    async with (
        stack(tmp_path, names=("a",), session_timeout_seconds="1", partitions="1") as whole,
        Sender(whole.settings) as sender,
    ):
        (worker,) = whole.workers
        await sender.send(simulated(406, contacts_per_campaign=10))
        worker.arm("fold.batch", "kill")
        worker.start()
        for kill in range(1, KILLS + 1):
            await until(lambda: worker.has_fired("fold.batch"), FIRED_SECONDS, f"kill {kill}")
            if kill < KILLS:
                worker.arm("fold.batch", "kill")
        await assert_exact(whole, worker, sender.sent)
        quarantined = (await read(worker)).value("tally_facts_quarantined")
        letters = await dead_letters.read(whole.settings)

    assert whole.exits.count((worker.name, KILLED)) == KILLS
    assert quarantined == 0
    assert "code_failure" not in {letter.reason for letter in letters}
