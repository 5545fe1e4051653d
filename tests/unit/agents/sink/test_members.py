"""A process's part of the sinks' group: what it has, through rebalances and while Kafka is away."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from tally.agents.sink.members import Membership

pytestmark = pytest.mark.asyncio


class Consumer:
    """A consumer whose group is led by the test."""

    def __init__(self, failures: list[Exception]) -> None:
        self.failures = failures
        self.subscribed: list[str] = []
        self.listener: Any = None
        self.paused: set[TopicPartition] = set()
        self.polls = 0
        self.is_stopped = False

    async def start(self) -> None:
        if self.failures:
            raise self.failures.pop()

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.subscribed, self.listener = topics, listener

    def pause(self, *places: TopicPartition) -> None:
        self.paused |= set(places)

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:  # noqa: ARG002
        self.polls += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        return {}

    async def stop(self) -> None:
        self.is_stopped = True


def places(*partitions: int) -> set[TopicPartition]:
    return {TopicPartition("counters", partition) for partition in partitions}


class Group:
    """A membership whose consumers are doubles."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.consumers: list[Consumer] = []
        self.assignments: list[int] = []
        self.members = Membership(self._new, "counters", self.assignments.append, lambda: 0.0)

    def _new(self) -> Consumer:
        self.consumers.append(Consumer(self.failures))
        return self.consumers[-1]

    async def run(self, until: Callable[[], bool]) -> None:
        running = asyncio.ensure_future(self.members.run())
        try:
            async with asyncio.timeout(5.0):
                while not until():
                    assert not running.done()
                    await asyncio.sleep(0.001)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_the_group_subscribes_to_counters_alone_and_fetches_nothing_of_it() -> None:
    group = Group()

    def joined() -> bool:
        if group.consumers and group.consumers[0].listener and not group.assignments:
            group.consumers[0].listener.on_partitions_assigned(places(0, 2))
        return group.consumers[0].polls > 3 if group.consumers else False

    await group.run(joined)
    (consumer,) = group.consumers
    assert consumer.subscribed == ["counters"]
    assert consumer.paused == places(0, 2)
    assert consumer.is_stopped
    assert (group.members.partitions, group.assignments) == (frozenset({0, 2}), [2])


async def test_what_a_process_has_stays_through_a_rebalance_until_it_is_said_anew() -> None:
    group = Group()
    await group.run(lambda: bool(group.consumers and group.consumers[0].listener))
    group.members.on_partitions_assigned(places(0, 2))
    group.members.on_partitions_revoked(places(0, 2))
    assert group.members.partitions == {0, 2}
    group.members.on_partitions_assigned(places(2))
    assert group.members.partitions == {2}
    group.members.on_partitions_assigned(places())
    assert group.members.partitions == frozenset()


async def test_a_group_that_cannot_be_reached_is_tried_again_with_another_consumer() -> None:
    group = Group(KafkaConnectionError("away"), TimeoutError())
    await group.run(lambda: len(group.consumers) == 3 and group.consumers[2].polls > 1)
    assert [consumer.is_stopped for consumer in group.consumers] == [True, True, True]
