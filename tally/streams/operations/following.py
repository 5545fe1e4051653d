"""Follows a compacted topic of one partition: what it holds, and every change of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.read_to_end import read_to_end

DEADLINE_SECONDS = 60.0
WAIT_MS = 500
AGAIN_SECONDS = 1.0

log = structlog.get_logger()


class Follower:
    """Applies every record of a topic, then reports what changed; while Kafka is away what is known holds."""

    def __init__(
        self, kafka: KafkaClients, topic: str, apply: Callable[[Any], None], changed: Callable[[], None]
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._apply = apply
        self._changed = changed
        self._next_offset = 0
        self._is_read = False

    async def start(self) -> None:
        """Read all there is and report it. Raises KafkaError, TimeoutError."""
        async for record in read_to_end(self._kafka, [self._topic], DEADLINE_SECONDS):
            self._note(record)
        self._is_read = True
        self._changed()

    async def run(self) -> None:
        """Read all there is, unless `start` has, and follow until cancelled.

        Raises TopicAuthorizationFailedError: without the right to read, later changes would be missed.
        """
        while True:
            try:
                if not self._is_read:
                    await self.start()
                await self._follow()
            except TopicAuthorizationFailedError:
                raise
            except (KafkaError, TimeoutError, OSError) as error:
                log.info("cannot follow a topic", topic=self._topic, error=repr(error))
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        consumer = self._kafka.reader("earliest")
        tp = TopicPartition(self._topic, 0)
        try:
            await consumer.start()
            consumer.assign([tp])
            consumer.seek(tp, self._next_offset)
            while True:
                for records in (await consumer.getmany(timeout_ms=WAIT_MS)).values():
                    for record in records:
                        self._note(record)
                    self._changed()
        finally:
            await consumer.stop()

    def _note(self, record: Any) -> None:
        self._apply(record)
        self._next_offset = record.offset + 1
