"""A process that starts waits for its brokers: with a deadline for the first answer, then without one."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from tally.streams.operations.unreached import NoBroker, in_words
from tally.streams.worker.brokers import BrokerWait, started, until_answered, while_away


async def unknown() -> NoBroker:
    return NoBroker(in_words({"kafka1:9092": "unknown host"}))


class Brokers:
    """Answer from some moment on; time passes while they are waited for."""

    def __init__(self, from_s: float) -> None:
        self.now_s, self._from_s = 100.0, 100.0 + from_s
        self.pauses_s: list[float] = []

    async def answered(self) -> None:
        if self.now_s < self._from_s:
            raise KafkaConnectionError(f"nobody at {self.now_s}")

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds

    @property
    def wait(self) -> BrokerWait:
        return BrokerWait(monotonic=lambda: self.now_s, sleep=self.sleep, random=lambda: 1.0)

    def waited_for(self) -> None:
        asyncio.run(until_answered(self.answered, self.wait, unknown))


def test_brokers_that_are_there_are_not_waited_for() -> None:
    brokers = Brokers(from_s=0.0)
    brokers.waited_for()

    assert brokers.pauses_s == []


def test_brokers_are_asked_again_at_growing_pauses_until_one_answers() -> None:
    brokers = Brokers(from_s=7.0)
    brokers.waited_for()

    assert brokers.pauses_s == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_brokers_that_never_answer_are_named_once_the_deadline_is_over() -> None:
    brokers = Brokers(from_s=1e6)
    with pytest.raises(NoBroker, match=r"\(TALLY_KAFKA_BOOTSTRAP\): kafka1:9092: unknown host"):
        brokers.waited_for()

    assert 60 <= sum(brokers.pauses_s) <= 65
    assert len(brokers.pauses_s) < 20


def test_an_error_that_waiting_cannot_mend_is_raised_at_once() -> None:
    async def attempt() -> None:
        raise FileNotFoundError("no such CA file")

    with pytest.raises(FileNotFoundError):
        asyncio.run(until_answered(attempt, BrokerWait(), unknown))


def test_brokers_that_go_away_during_the_start_are_waited_for_however_long_that_takes() -> None:
    brokers, asked = Brokers(from_s=3_600.0), 0

    async def step() -> int:
        nonlocal asked
        asked += 1
        await brokers.answered()
        return 8

    assert asyncio.run(while_away(step, brokers.wait)) == 8
    assert brokers.pauses_s[:6] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert asked == len(brokers.pauses_s) + 1
    assert 3_600 <= sum(brokers.pauses_s) <= 3_605


def test_what_brokers_refuse_during_the_start_is_asked_once() -> None:
    brokers = Brokers(from_s=0.0)

    async def step() -> None:
        raise TopicAuthorizationFailedError("facts")

    with pytest.raises(TopicAuthorizationFailedError):
        asyncio.run(while_away(step, brokers.wait))
    assert brokers.pauses_s == []


def test_a_client_that_brokers_left_while_it_started_is_closed_and_another_one_starts() -> None:
    brokers, made = Brokers(from_s=1.0), []

    class Producer:
        is_closed = False

        def __init__(self) -> None:
            made.append(self)

        async def start(self) -> None:
            await brokers.answered()

        async def close(self) -> None:
            self.is_closed = True

    running = asyncio.run(started(Producer, brokers.wait))

    assert running is made[-1]
    assert [one.is_closed for one in made] == [True, True, True, False]
