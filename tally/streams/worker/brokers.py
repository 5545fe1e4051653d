"""Waiting for the brokers: before a worker builds on them, and where they go away while it does."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog
from aiokafka.errors import KafkaError
from msgspec import Struct

from tally.agents.clock import Backoff
from tally.streams.operations.topics import admin
from tally.streams.operations.unreached import NoBroker, explained
from tally.streams.runtime.exit import describe
from tally.streams.settings import Settings
from tally.tables.kafka.away import ASKED, is_away

log = structlog.get_logger()

Answer = TypeVar("Answer")


class Client(Protocol):
    """What connects to brokers, once."""

    async def start(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""


Started = TypeVar("Started", bound=Client)


class BrokerWait(Struct, frozen=True):
    """Deadline, pauses and clock of the wait for brokers.

    If no broker answers within the deadline, the process ends and its supervisor restarts it. Without a wait
    it would end within a second, and systemd gives up a service that ends five times in ten seconds.
    """

    deadline_seconds: float = 60.0
    attempt_seconds: float = 10.0
    pause_seconds: tuple[float, float] = (0.2, 5.0)
    """The shortest and the longest pause before the next attempt; jitter shortens each by up to half."""
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


PATIENT = BrokerWait()


async def wait_for_brokers(settings: Settings) -> None:
    """Return once a broker answers. Raises NoBroker."""

    async def answered() -> None:
        async with admin(settings):
            return

    # The client logs each address that fails, and less well than we do.
    client, kept = logging.getLogger("aiokafka"), logging.Filter("-")
    client.addFilter(kept)
    try:
        await until_answered(answered, PATIENT, lambda: explained(settings))
    finally:
        client.removeFilter(kept)


async def until_answered(
    attempt: Callable[[], Awaitable[None]], wait: BrokerWait, why: Callable[[], Awaitable[NoBroker]]
) -> None:
    """Try until an attempt succeeds; log why each failed. Raises NoBroker once the deadline is over."""
    deadline_s = wait.monotonic() + wait.deadline_seconds
    backoff = Backoff(*wait.pause_seconds)
    while True:
        try:
            async with asyncio.timeout(wait.attempt_seconds):
                return await attempt()
        except (KafkaError, TimeoutError) as error:
            reason = await why()
            if wait.monotonic() >= deadline_s:
                raise reason from error
            pause_s = backoff.failed(wait.random())
            log.warning("no broker answers yet", error=str(reason), retry_in_s=round(pause_s, 1))
        await wait.sleep(pause_s)


async def while_away(step: Callable[[], Awaitable[Answer]], wait: BrokerWait = PATIENT) -> Answer:
    """Return the answer to a step of a start; where brokers have gone away again, ask once they are back.

    `step` has a deadline of its own, and begins anew each time. There is no other: brokers that have answered
    are the right ones, and the worker's other processes may know keys, which hold while brokers are away.
    Raises every error that waiting cannot mend.
    """
    backoff = Backoff(*wait.pause_seconds)
    while True:
        try:
            return await step()
        except ASKED as error:
            if not is_away(error):
                raise
            pause_s = backoff.failed(wait.random())
            log.warning("the brokers have gone away", error=describe(error), retry_in_s=round(pause_s, 1))
        await wait.sleep(pause_s)


async def started(new: Callable[[], Started], wait: BrokerWait = PATIENT) -> Started:
    """Return a client that has started; where brokers went away while one did, it is another.

    Raises as `while_away`.
    """

    async def attempt() -> Started:
        made = new()
        try:
            await made.start()
        except BaseException:
            await made.close()
            raise
        return made

    return await while_away(attempt, wait)
