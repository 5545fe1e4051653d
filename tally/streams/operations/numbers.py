"""The topic `numbers`: sets and follows which tenant owns a business number, and which ids are of one."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from msgspec import Struct

from tally.schemas.errors import Bad
from tally.schemas.numbers import (
    UNREADABLE,
    BadNumber,
    Number,
    Numbers,
    check_first,
    checked_number,
    encode,
    numbers_of,
    read_number,
)
from tally.schemas.topics import NUMBERS
from tally.streams.operations.following import Follower
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import read_to_end

DEADLINE_SECONDS = 60.0

log = structlog.get_logger()


async def all_numbers(settings: Settings) -> dict[str, Number]:
    """Return what is known of each number that is set. Raises KafkaError, TimeoutError."""
    known = KnownNumbers()
    async for record in read_to_end(settings.kafka, [settings.names.raw(NUMBERS)], DEADLINE_SECONDS):
        known.apply(record)
    return known.numbers


async def set_number(settings: Settings, number_id: str, number: Number) -> None:
    """Set the owner of a number, and the id that it had before, from now on.

    Raises KafkaError, TimeoutError, BadEvent.
    """
    checked = checked_number(number_id, number)
    if number.successor_of is not None:
        check_first(number_id, await all_numbers(settings) | {number_id: checked})
    await _publish(settings, number_id, encode(checked))


async def remove_number(settings: Settings, number_id: str) -> None:
    """Remove the owner of a number, so any tenant may use it. Raises KafkaError, TimeoutError."""
    await _publish(settings, number_id, None)


class UnreadNumber(Struct, frozen=True):
    """A record of the topic that cannot be read, and what is wrong with it."""

    record: Any
    bad: Bad


class KnownNumbers:
    """What the topic says of each number."""

    def __init__(self) -> None:
        self.numbers: dict[str, Number] = {}
        self.unread: dict[bytes | None, UnreadNumber] = {}
        """The newest records that cannot be read, by key."""

    def apply(self, record: Any) -> None:
        """Apply one record; one that cannot be read is logged, and its number is nobody's."""
        self.unread.pop(record.key, None)
        try:
            number_id, number = read_number(record.key, record.value)
        except BadNumber as error:
            self._close(record, error)
            return
        if number is None:
            self.numbers.pop(number_id, None)
        else:
            self.numbers[number_id] = number

    def _close(self, record: Any, error: BadNumber) -> None:
        if record.value is None:  # it removes what nobody could read
            return
        log.warning("no business number", offset=record.offset, wanted="tally numbers set", error=str(error))
        self.unread[record.key] = UnreadNumber(record, error.bad)
        if error.number_id is not None:
            self.numbers[error.number_id] = UNREADABLE


def numbers_follower(settings: Settings, changed: Callable[[Numbers, KnownNumbers], None]) -> Follower:
    """Return what calls `changed` with what is known of all numbers at the start and at each change."""
    known = KnownNumbers()
    return Follower(
        settings.kafka,
        settings.names.raw(NUMBERS),
        known.apply,
        lambda: changed(numbers_of(known.numbers), known),
    )


async def _publish(settings: Settings, number_id: str, value: bytes | None) -> None:
    producer = settings.kafka.producer()
    async with asyncio.timeout(DEADLINE_SECONDS):
        try:
            await producer.start()
            await producer.send_and_wait(settings.names.raw(NUMBERS), value, number_id.encode(), partition=0)
        finally:
            await producer.stop()
