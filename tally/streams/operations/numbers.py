"""The topic `numbers`: sets and follows which tenant owns a business number."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from tally.schemas.numbers import BadNumber, Number, Owners, checked_number, encode, read_number
from tally.schemas.topics import NUMBERS
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import read_to_end

DEADLINE_SECONDS = 60.0
WAIT_MS = 500
AGAIN_SECONDS = 2.0

log = structlog.get_logger()


async def all_numbers(settings: Settings) -> dict[str, Number]:
    """Return every number with an owner. Raises KafkaError, TimeoutError."""
    found: dict[str, Number] = {}
    async for record in read_to_end(settings.kafka, [settings.names.raw(NUMBERS)], DEADLINE_SECONDS):
        _apply(found, record)
    return found


async def set_number(settings: Settings, number_id: str, number: Number) -> None:
    """Set the owner of a number from now on. Raises KafkaError, TimeoutError, BadEvent."""
    await _publish(settings, number_id, encode(checked_number(number_id, number)))


async def remove_number(settings: Settings, number_id: str) -> None:
    """Remove the owner of a number, so any tenant may use it. Raises KafkaError, TimeoutError."""
    await _publish(settings, number_id, None)


def owners_of(numbers: Mapping[str, Number]) -> Owners:
    """Return the owning tenant by phone_number_id."""
    return {number_id: number.tenant for number_id, number in numbers.items()}


class NumbersFollower:
    """Calls `changed` with the owners of all numbers at the start and at each change."""

    def __init__(self, settings: Settings, changed: Callable[[Owners], None]) -> None:
        self._settings = settings
        self._changed = changed
        self._numbers: dict[str, Number] = {}
        self._next_offset = 0

    async def start(self) -> None:
        """Read all numbers and report their owners. Raises KafkaError, TimeoutError."""
        topic = self._settings.names.raw(NUMBERS)
        async for record in read_to_end(self._settings.kafka, [topic], DEADLINE_SECONDS):
            self._apply(record)
        self._changed(owners_of(self._numbers))

    async def run(self) -> None:
        """Follow until cancelled; while Kafka is away the last known owners hold.

        Raises TopicAuthorizationFailedError: without the right to read, later changes would be missed.
        """
        while True:
            try:
                await self._follow()
            except TopicAuthorizationFailedError:
                raise
            except (KafkaError, TimeoutError, OSError) as error:
                log.info("cannot follow the business numbers", error=repr(error))
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        consumer = self._settings.kafka.reader("earliest")
        tp = TopicPartition(self._settings.names.raw(NUMBERS), 0)
        try:
            await consumer.start()
            consumer.assign([tp])
            consumer.seek(tp, self._next_offset)
            while True:
                for records in (await consumer.getmany(timeout_ms=WAIT_MS)).values():
                    for record in records:
                        self._apply(record)
                    self._changed(owners_of(self._numbers))
        finally:
            await consumer.stop()

    def _apply(self, record: Any) -> None:
        _apply(self._numbers, record)
        self._next_offset = record.offset + 1


def _apply(numbers: dict[str, Number], record: Any) -> None:
    """Apply one record; log and skip a malformed one, since it must not stop a worker."""
    try:
        number_id, number = read_number(record.key, record.value)
    except BadNumber as error:
        log.warning("no business number", offset=record.offset, wanted="tally numbers set", error=str(error))
        return
    if number is None:
        numbers.pop(number_id, None)
    else:
        numbers[number_id] = number


async def _publish(settings: Settings, number_id: str, value: bytes | None) -> None:
    producer = settings.kafka.producer()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await producer.start()
        try:
            await producer.send_and_wait(settings.names.raw(NUMBERS), value, number_id.encode(), partition=0)
        finally:
            await producer.stop()
