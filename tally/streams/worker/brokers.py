"""BrokerWait for brokers before anything is built on them."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog
from aiokafka.errors import KafkaError
from msgspec import Struct

from tally.agents.clock import Backoff
from tally.streams.operations.topics import admin
from tally.streams.settings import Settings

log = structlog.get_logger()


class BrokerWait(Struct, frozen=True):
    """How long brokers are waited for, and by which clock.

    The process ends where none comes within the deadline, and its supervisor starts it again. Without any
    waiting it would end within a second, and systemd gives a service up that ends five times in ten seconds.
    """

    deadline_seconds: float = 60.0
    attempt_seconds: float = 10.0
    pause_seconds: tuple[float, float] = (0.2, 2.0)
    """The shortest and the longest pause before the next attempt, up to half of it less."""
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


async def wait_for_brokers(settings: Settings) -> None:
    """Return once a broker answers. Raises KafkaError or TimeoutError: none does."""

    async def answered() -> None:
        async with admin(settings):
            return

    await until_answered(answered, BrokerWait())


async def until_answered(attempt: Callable[[], Awaitable[None]], wait: BrokerWait) -> None:
    """Try until an attempt succeeds. Raises what the last one within the deadline raised."""
    deadline_s = wait.monotonic() + wait.deadline_seconds
    backoff = Backoff(*wait.pause_seconds)
    while True:
        try:
            async with asyncio.timeout(wait.attempt_seconds):
                return await attempt()
        except (KafkaError, TimeoutError) as error:
            if wait.monotonic() >= deadline_s:
                raise
            pause_s = backoff.failed(wait.random())
            log.warning("no broker answers yet", error=repr(error), retry_in_s=round(pause_s, 1))
        await wait.sleep(pause_s)
