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


class LastMessage(logging.Filter):
    """Keeps the last message of a logger instead of writing it.

    The client logs why an address failed (refused, unknown host, bad certificate) and does not raise it.
    """

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a message; it is not written."""
        self.text = record.getMessage()
        return False


class NoBroker(Unavailable):
    """No broker has answered within the deadline."""


async def wait_for_brokers(settings: Settings) -> None:
    """Return once a broker answers. Raises NoBroker."""

    async def answered() -> None:
        async with admin(settings):
            return

    client, said = logging.getLogger("aiokafka"), LastMessage()
    client.addFilter(said)
    try:
        await until_answered(answered, BrokerWait(), str(settings.kafka_bootstrap), lambda: said.text)
    finally:
        client.removeFilter(said)


async def until_answered(
    attempt: Callable[[], Awaitable[None]], wait: BrokerWait, bootstrap: str, said: Callable[[], str] = str
) -> None:
    """Try until an attempt succeeds; log each failure with the brokers' addresses. Raises NoBroker.

    `said` returns what the client said last of an address that cannot be connected to.
    """
    deadline_s = wait.monotonic() + wait.deadline_seconds
    backoff = Backoff(*wait.pause_seconds)
    while True:
        try:
            async with asyncio.timeout(wait.attempt_seconds):
                return await attempt()
        except (KafkaError, TimeoutError) as error:
            if wait.monotonic() >= deadline_s:
                raise NoBroker(
                    f"no broker answers at {bootstrap} (TALLY_KAFKA_BOOTSTRAP): {_reason(error, said())}"
                ) from error
            pause_s = backoff.failed(wait.random())
            log.warning(
                "no broker answers yet",
                brokers=bootstrap,
                error=_reason(error, said()),
                retry_in_s=round(pause_s, 1),
            )
        await wait.sleep(pause_s)


def _reason(error: Exception, said: str) -> str:
    """Return why an attempt failed; of a refused connection the client's own error is a list of tuples."""
    if isinstance(error, KafkaConnectionError):
        return said or "connection failed"
    return f"{type(error).__name__}: {error}" if str(error) else "no answer in time"
