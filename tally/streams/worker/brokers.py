"""Waiting for the brokers before a worker builds on them."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

import structlog
from aiokafka.errors import KafkaConnectionError, KafkaError
from msgspec import Struct

from tally.agents.clock import Backoff
from tally.streams.operations.topics import admin
from tally.streams.runtime.exit import Unavailable
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


class NoBroker(Unavailable):
    """No broker has answered within the deadline."""


async def wait_for_brokers(settings: Settings) -> None:
    """Return once a broker answers. Raises NoBroker."""

    async def answered() -> None:
        async with admin(settings):
            return

    # The client logs each address at each attempt as an error.
    client = logging.getLogger("aiokafka")
    level = client.level
    client.setLevel(logging.CRITICAL)
    try:
        await until_answered(answered, BrokerWait(), str(settings.kafka_bootstrap))
    finally:
        client.setLevel(level)


async def until_answered(attempt: Callable[[], Awaitable[None]], wait: BrokerWait, bootstrap: str) -> None:
    """Try until an attempt succeeds; log each failure with the brokers' addresses. Raises NoBroker."""
    deadline_s = wait.monotonic() + wait.deadline_seconds
    backoff = Backoff(*wait.pause_seconds)
    while True:
        try:
            async with asyncio.timeout(wait.attempt_seconds):
                return await attempt()
        except (KafkaError, TimeoutError) as error:
            if wait.monotonic() >= deadline_s:
                raise NoBroker(
                    f"no broker answers at {bootstrap} (TALLY_KAFKA_BOOTSTRAP): {_reason(error)}"
                ) from error
            pause_s = backoff.failed(wait.random())
            log.warning(
                "no broker answers yet",
                brokers=bootstrap,
                error=_reason(error),
                retry_in_s=round(pause_s, 1),
            )
        await wait.sleep(pause_s)


def _reason(error: Exception) -> str:
    """Return why an attempt failed; the client's own text for an address that refuses is a list of tuples."""
    if isinstance(error, KafkaConnectionError):
        return "connection failed"
    return f"{type(error).__name__}: {error}" if str(error) else "no answer in time"
