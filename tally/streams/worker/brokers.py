"""Waiting for the brokers before a worker builds on them."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

import structlog
from aiokafka.errors import KafkaError
from msgspec import Struct

from tally.agents.clock import Backoff
from tally.streams.operations.topics import admin
from tally.streams.operations.unreached import NoBroker, explained
from tally.streams.settings import Settings

log = structlog.get_logger()


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


async def wait_for_brokers(settings: Settings) -> None:
    """Return once a broker answers. Raises NoBroker."""

    async def answered() -> None:
        async with admin(settings):
            return

    # The client logs each address that fails, and less well than we do.
    client, kept = logging.getLogger("aiokafka"), logging.Filter("-")
    client.addFilter(kept)
    try:
        await until_answered(answered, BrokerWait(), lambda: explained(settings))
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
