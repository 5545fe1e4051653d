"""Puts a report into the topic once a minute, for as long as the process runs."""

import asyncio
from collections.abc import Awaitable, Callable
from socket import gethostname

import structlog
from aiokafka.errors import KafkaError

from tally.schemas.reports import EVERY_SECONDS, Report, Reporter, encode
from tally.schemas.topics import REPORTS
from tally.streams.operations import topics
from tally.streams.operations.rights import explained
from tally.streams.runtime.exit import describe
from tally.streams.settings import Settings

DEADLINE_SECONDS = 30.0
RIGHTS_OF = {"audit": "audit --every", "gateway": "gateway"}
"""Whose rights a reporter has (`operations/rights_needed.py`), by its kind."""
AWAY = (KafkaError, TimeoutError, OSError, topics.TopicsError)

log = structlog.get_logger()


class Reporting:
    """Reports at intervals. While the brokers are away nothing is: the last report ages where it shows."""

    def __init__(
        self,
        settings: Settings,
        reporter: Reporter,
        report: Callable[[], Awaitable[Report]],
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._settings = settings
        self._reporter = reporter
        self._report = report
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await publish(self._settings, self._reporter, await self._report())
            except AWAY as error:
                log.warning("no report", error=describe(await self._explained(error)))
            await asyncio.sleep(self._every_seconds)

    async def _explained(self, error: Exception) -> Exception:
        """Return an error as one that says which right is missing, where one is."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await explained(self._settings, RIGHTS_OF[self._reporter.kind], error)
        except TimeoutError:
            return error


async def publish(settings: Settings, reporter: Reporter, report: Report) -> None:
    """Put a report into the topic. Raises KafkaError, TimeoutError, TopicsError.

    The connection is opened for it: a kept one would have to be watched for a record a minute.
    """
    topic = settings.names.raw(REPORTS)
    # Otherwise the brokers would create the topic with their defaults.
    await topics.declare(settings, only={topic})
    producer = settings.kafka.producer(is_idempotent=False)
    try:
        await producer.start()
        await producer.send_and_wait(topic, encode(report), reporter.encode(), partition=0)
    finally:
        await producer.stop()


def name_of(port: int) -> str:
    """Return a name that no other process on this or another host has, by a port of its own."""
    return f"{gethostname()}:{port}"
