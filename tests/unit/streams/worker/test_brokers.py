"""A process that starts before its brokers waits for them, with a deadline."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from tally.streams.operations.unreached import NoBroker, in_words
from tally.streams.worker.brokers import BrokerWait, until_answered


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

    def waited_for(self) -> None:
        wait = BrokerWait(monotonic=lambda: self.now_s, sleep=self.sleep, random=lambda: 1.0)
        asyncio.run(until_answered(self.answered, wait, unknown))


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
