"""Group B on three brokers: what one broker cannot show."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from tests.faults.clustered import Clustered, Led, clustered
from tests.faults.flow import enough, flowing
from tests.faults.groups.small_disk import fill, small_disk
from tests.faults.groups.striking import last_words, measured
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.stack import until
from tests.support.keys import answers_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

PER_SECOND = 100
LIVE_SECONDS = 30.0
"""So soon after a fault, without a hand, there are live numbers of after it."""
WHOLE_SECONDS = 90.0
MOST_EXITS = 3
AWAY_SECONDS = 10.0
REFUSED_SECONDS = 3.0
DISK_BYTES = 512 << 20


async def live_again(whole: Clustered, deadline_seconds: float = LIVE_SECONDS) -> float:
    """Return how long it takes until a worker has live numbers of after this moment; assert the figure."""
    async with answers_of(whole.stack.workers[0]) as answers:
        seconds = await answers.wait_until_counted(time.time() * 1000, 3 * LIVE_SECONDS)
    assert seconds <= deadline_seconds
    return seconds


def _leads_nothing(node_id: int, led: Led) -> bool:
    return not led.leads(node_id)


def node_that_leads_most(leaders: dict[int, int]) -> int:
    return max(leaders, key=lambda node_id: leaders[node_id])


async def test_a_rolling_restart_moves_every_leader_and_costs_no_number(tmp_path: Path) -> None:
    async with clustered(tmp_path) as whole, Sender(whole.stack.settings) as sender:
        await whole.stack.start()
        seconds = []
        async with flowing(sender, enough(431, 150, PER_SECOND), PER_SECOND) as flow:
            for broker in whole.cluster.brokers:
                node_id = broker.node.node_id
                await asyncio.to_thread(broker.stop)
                await whole.until_led(partial(_leads_nothing, node_id), 30, "leaders moved away")
                seconds.append(await live_again(whole))
                await asyncio.to_thread(broker.restart)
                # It leads again: leaders move while every broker is there.
                await whole.until_whole(WHOLE_SECONDS)
                seconds.append(await live_again(whole))
            assert not flow.done(), "nothing was left to count: the run is void"
        await assert_exact(whole.stack, whole.stack.workers[0], sender.sent)
    measured("live again at each step of a rolling restart, s", [round(one, 1) for one in seconds])
    assert len(whole.stack.exits) <= MOST_EXITS, last_words(whole.stack)


async def test_a_broker_that_is_killed_and_stays_away_costs_no_number(tmp_path: Path) -> None:
    async with clustered(tmp_path) as whole, Sender(whole.stack.settings) as sender:
        await whole.stack.start()
        led = await whole.until_whole(WHOLE_SECONDS)
        victim = node_that_leads_most(led.leaders)
        broker = next(one for one in whole.cluster.brokers if one.node.node_id == victim)
        async with flowing(sender, enough(432, 120, PER_SECOND), PER_SECOND) as flow:
            await asyncio.sleep(2)
            await asyncio.to_thread(broker.kill)
            away = await live_again(whole)
            await whole.until_led(partial(_leads_nothing, victim), 30, "others lead")
            await asyncio.to_thread(broker.restart)
            await whole.until_whole(WHOLE_SECONDS)
            back = await live_again(whole)
            assert not flow.done(), "nothing was left to count: the run is void"
        await assert_exact(whole.stack, whole.stack.workers[0], sender.sent)
    measured("live again while a broker is dead, and once it is back, s", (round(away, 1), round(back, 1)))
    assert len(whole.stack.exits) <= MOST_EXITS, last_words(whole.stack)


async def are_refused(sender: Sender) -> bool:
    """Whether brokers acknowledge nothing of what is sent, whose producer tries again and again."""
    await asyncio.sleep(REFUSED_SECONDS)
    acknowledged = len(sender.sent)
    await asyncio.sleep(REFUSED_SECONDS)
    return len(sender.sent) == acknowledged


async def test_too_few_copies_in_sync_hold_everything_up_and_lose_nothing(tmp_path: Path) -> None:
    async with clustered(tmp_path, controller_apart=True) as whole, Sender(whole.stack.settings) as sender:
        await whole.stack.start()
        async with flowing(sender, enough(433, 120, PER_SECOND), PER_SECOND) as flow:
            await asyncio.sleep(2)
            two = whole.cluster.brokers[1:]
            for broker in two:
                await asyncio.to_thread(broker.kill)
            await whole.until_led(lambda led: led.fewest_in_sync <= 1, 30, "one copy in sync")
            assert await are_refused(sender), "the brokers took records: the run is void"
            await asyncio.sleep(AWAY_SECONDS)
            for broker in two:
                await asyncio.to_thread(broker.restart)
            await whole.until_whole(WHOLE_SECONDS)
            back = await live_again(whole)
            assert not flow.done(), "nothing was left to count: the run is void"
        await assert_exact(whole.stack, whole.stack.workers[0], sender.sent)
    measured("live again once copies are in sync, s", round(back, 1))


async def test_a_controller_that_dies_apart_from_its_brokers_holds_up_no_number(tmp_path: Path) -> None:
    async with clustered(tmp_path, controller_apart=True) as whole, Sender(whole.stack.settings) as sender:
        await whole.stack.start()
        controller = whole.cluster.controller
        assert controller is not None
        async with flowing(sender, enough(434, 90, PER_SECOND), PER_SECOND) as flow:
            await asyncio.sleep(2)
            await asyncio.to_thread(controller.kill)
            assert not controller.alive
            seconds = []
            for _ in range(5):
                await asyncio.sleep(2)
                seconds.append(await live_again(whole))
            await asyncio.to_thread(controller.restart)
            seconds.append(await live_again(whole))
            assert not flow.done(), "nothing was left to count: the run is void"
        await assert_exact(whole.stack, whole.stack.workers[0], sender.sent)
    measured("live without a controller, and once it is back, s", [round(one, 1) for one in seconds])
    assert whole.stack.exits == [], last_words(whole.stack)


async def test_a_broker_whose_disk_is_full_costs_no_number(tmp_path: Path) -> None:
    with small_disk(tmp_path / "servers" / "kafka-2", DISK_BYTES) as disk:
        async with clustered(tmp_path) as whole, Sender(whole.stack.settings) as sender:
            await whole.stack.start()
            broker = whole.cluster.brokers[1]
            async with flowing(sender, enough(435, 120, PER_SECOND), PER_SECOND) as flow:
                await asyncio.sleep(2)
                await asyncio.to_thread(fill, disk / "ballast")
                await until(lambda: not broker.alive, 60, "a broker without room ends")
                away = await live_again(whole)
                await asyncio.to_thread((disk / "ballast").unlink)
                await asyncio.to_thread(broker.restart)
                await whole.until_whole(WHOLE_SECONDS)
                back = await live_again(whole)
                assert not flow.done(), "nothing was left to count: the run is void"
            await assert_exact(whole.stack, whole.stack.workers[0], sender.sent)
    measured("live again while a disk is full, and once it has room, s", (round(away, 1), round(back, 1)))
    assert len(whole.stack.exits) <= MOST_EXITS, last_words(whole.stack)
