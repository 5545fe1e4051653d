"""The lag loop asks in the right order, survives an absent Kafka, and has a deadline for every wait."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest
from aiokafka.errors import KafkaConnectionError

from tally.agents.lag import loop as lag_loop
from tally.agents.lag.loop import LagLoop
from tally.agents.lag.tracker import LagTracker, Moment, RawPartition

PLACE = RawPartition("webhook-events", 0, "w1")


class CaughtUp:
    """A pipeline in which everything is counted; notes the order of questions."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def now(self) -> Moment:
        self.asked.append("clock")
        return Moment(float(len(self.asked)), len(self.asked))

    async def raw_ends(self) -> Mapping[RawPartition, int]:
        self.asked.append("ends")
        return {PLACE: 5}

    async def committed(self) -> Mapping[RawPartition, int]:
        self.asked.append("committed")
        return {PLACE: 5}

    async def facts_ends(self) -> Mapping[int, int]:
        self.asked.append("facts")
        return {0: 3}


class AwayAtFirst(CaughtUp):
    """Fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def raw_ends(self) -> Mapping[RawPartition, int]:
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("away")
        return await super().raw_ends()


class HangsAtFirst(CaughtUp):
    """Never answers the first question for committed offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.hung = 0

    async def committed(self) -> Mapping[RawPartition, int]:
        if not self.hung:
            self.hung += 1
            await asyncio.Event().wait()
        return await super().committed()


def loop_over(offsets: CaughtUp, measured: list[Mapping[str, int]]) -> tuple[LagLoop, LagTracker, list[int]]:
    tracker, connections = LagTracker(), []
    numbers = count(1)

    @asynccontextmanager
    async def connect() -> AsyncIterator[CaughtUp]:
        connections.append(next(numbers))
        yield offsets

    loop = LagLoop(
        tracker, connect, lambda: {0: 3}, measured.append, offsets.now, lambda: 0.0, interval_seconds=0.001
    )
    return loop, tracker, connections


async def run_until_measured(loop: LagLoop, measured: list[Mapping[str, int]], times: int) -> None:
    task = asyncio.create_task(loop.run())
    async with asyncio.timeout(10):
        while len(measured) < times:
            assert not task.done()
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_loop, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(lag_loop, "DEADLINE_SECONDS", 0.05)


@pytest.mark.asyncio
async def test_the_clock_comes_first_then_ends_then_commits_then_the_facts() -> None:
    offsets, measured = CaughtUp(), list[Mapping[str, int]]()
    loop, tracker, _ = loop_over(offsets, measured)
    await run_until_measured(loop, measured, times=2)
    assert offsets.asked[:8] == 2 * ["clock", "ends", "committed", "facts"]
    assert measured[0] == {"webhook-events": 0, "facts": 0}
    assert tracker.as_of({0: 3}) is not None


@pytest.mark.asyncio
async def test_kafka_may_be_away_for_a_while() -> None:
    offsets, measured = AwayAtFirst(failures=3), list[Mapping[str, int]]()
    loop, tracker, connections = loop_over(offsets, measured)
    await run_until_measured(loop, measured, times=1)
    assert connections == [1, 2, 3, 4]
    assert tracker.as_of({0: 3}) is not None


@pytest.mark.asyncio
async def test_an_answer_that_never_comes_is_given_up_on() -> None:
    offsets, measured = HangsAtFirst(), list[Mapping[str, int]]()
    loop, _, connections = loop_over(offsets, measured)
    await run_until_measured(loop, measured, times=1)
    assert connections == [1, 2]


@pytest.mark.asyncio
async def test_the_deadline_is_that_of_one_poll_and_not_of_all() -> None:
    offsets, measured = CaughtUp(), list[Mapping[str, int]]()
    loop, _, connections = loop_over(offsets, measured)
    began = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() - began < 3 * lag_loop.DEADLINE_SECONDS:
        await run_until_measured(loop, measured, times=len(measured) + 30)
    assert len(connections) < len(measured) / 20


@pytest.mark.asyncio
async def test_what_is_our_own_fault_is_not_retried() -> None:
    class Wrong(CaughtUp):
        async def raw_ends(self) -> Mapping[RawPartition, int]:
            raise ValueError("a bug")

    loop, _, _ = loop_over(Wrong(), [])
    with pytest.raises(ValueError, match="a bug"):
        await loop.run()
