"""A6, A7: workers come and go in a storm, and there are more of them than partitions."""

import asyncio
import signal
import time
from collections.abc import Sequence
from itertools import cycle, islice, pairwise
from pathlib import Path

import aiohttp
import pytest

from tally.oracle.api import Answers
from tally.schemas.fields import unix_ms
from tests.faults.flow import enough
from tests.faults.groups.striking import last_words, loaded, measured
from tests.faults.hooked_worker import HookedWorker
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import health, read
from tests.faults.stack import Stack, stack, until
from tests.support.keys import answers_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]

PER_SECOND = 80
CHANGES = 12
CHANGE_SECONDS = 5.0
REBALANCES = CHANGES // 2
"""At least: who comes or goes while the group is at it already makes no rebalance more."""
STOPPED_SECONDS = 20.0
UNOWNED_SECONDS = 15.0
"""How long at most some partition is nobody's, or nobody counts it."""
POLL_SECONDS = 0.1
TENANTS = ("tenant-0", "tenant-1")


async def test_while_two_become_four_become_one_every_five_seconds_no_partition_waits_for_fifteen(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, names=("a", "b", "c", "d")) as whole, Sender(whole.settings) as sender:
        await whole.start("a", "b")
        stays = whole.workers[0]
        rebalances = (await read(stays)).value("tally_rebalances_total", role="fold")
        async with loaded(sender, enough(409, 150, PER_SECOND), PER_SECOND):
            watching = asyncio.ensure_future(_moments(stays, CHANGES * CHANGE_SECONDS))
            for count in islice(cycle((4, 1, 2)), CHANGES):
                await asyncio.gather(_become(whole, count), asyncio.sleep(CHANGE_SECONDS))
            moments = await watching
        rebalanced = (await read(stays)).value("tally_rebalances_total", role="fold") - rebalances
        await assert_exact(whole, stays, sender.sent)
    standstill_s = max(later - earlier for earlier, later in pairwise(moments))
    measured("A6 standstill, rebalances", (standstill_s, rebalanced))

    assert standstill_s <= UNOWNED_SECONDS
    assert rebalanced >= REBALANCES
    assert {code for _, code in whole.exits} == {0}, last_words(whole)


async def test_more_workers_than_partitions_are_ready_and_live_and_serve_the_same_and_take_over(
    tmp_path: Path,
) -> None:
    async with (
        stack(tmp_path, names=("a", "b", "c"), partitions="1") as whole,
        Sender(whole.settings) as sender,
    ):
        await whole.start()
        async with loaded(sender, enough(410, 40, PER_SECOND), PER_SECOND):
            for worker in whole.workers:
                await whole.ready(worker)
            owned = {worker.name: await _owned(worker) for worker in whole.workers}
            for worker in whole.workers:
                assert await health(worker, "live") == 200
            owner = next(worker for worker in whole.workers if owned[worker.name])
            owner.signal(signal.SIGKILL)
            await until(lambda: bool(whole.exits), 10.0, "the owner is killed")
        idle = next(worker for worker in whole.workers if not owned[worker.name])
        await assert_exact(whole, idle, sender.sent)
        served = [await _served(whole, worker) for worker in whole.workers]

    assert sorted(owned.values()) == [0, 0, 1]
    assert served[0] == served[1] == served[2]
    assert served[0]


async def _become(whole: Stack, count: int) -> None:
    """Start workers, or let them stop in order, until there are so many."""
    running = [worker for worker in whole.workers if worker.is_running]
    leaving = running[count:]
    for worker in leaving:
        await whole.serving(worker)
        whole.held.add(worker)
        worker.signal(signal.SIGTERM)
    for worker in leaving:
        await until(lambda one=worker: not one.is_running, STOPPED_SECONDS, worker.name)  # type: ignore[misc]
        whole.exits.append((worker.name, worker.wait(1.0)))
    for worker in whole.workers[len(running) : count]:
        worker.start()
        whole.held.discard(worker)


async def _moments(worker: HookedWorker, seconds: float) -> list[float]:
    """Return when a worker's `as_of` moved, which it does only while all partitions are counted."""
    began = time.monotonic()
    moved, newest_ms = [began], 0
    async with answers_of(worker) as answers:
        while time.monotonic() - began < seconds:
            at_ms = await _as_of_ms(answers)
            if at_ms > newest_ms:
                moved.append(time.monotonic())
                newest_ms = at_ms
            await asyncio.sleep(POLL_SECONDS)
    return [*moved, time.monotonic()]


async def _as_of_ms(answers: Answers) -> int:
    try:
        at = (await answers.get("/v1/tenants/-/campaigns?limit=1"))["receipt"]["as_of"]
    except (aiohttp.ClientError, TimeoutError):
        return 0
    return unix_ms(at, "as_of") if at else 0


async def _owned(worker: HookedWorker) -> int:
    return int((await read(worker)).value("tally_partitions_owned", role="fold"))


async def _served(whole: Stack, worker: HookedWorker) -> Sequence[object]:
    """Return the campaigns of all tenants as a worker shows them, once it has everything."""
    await whole.counted(worker, 60.0)
    async with answers_of(worker) as answers:
        return [campaign for tenant in TENANTS for campaign in await answers.campaigns(tenant)]
