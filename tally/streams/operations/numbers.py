"""The topic `numbers`: sets and follows which tenant owns a business number, and which ids are of one."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from tally.schemas.numbers import (
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
    """Return every number with an owner. Raises KafkaError, TimeoutError."""
    found: dict[str, Number] = {}
    async for record in read_to_end(settings.kafka, [settings.names.raw(NUMBERS)], DEADLINE_SECONDS):
        _apply(found, record)
    return found


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


def numbers_follower(settings: Settings, changed: Callable[[Numbers], None]) -> Follower:
    """Return what calls `changed` with what is known of all numbers at the start and at each change."""
    numbers: dict[str, Number] = {}
    return Follower(
        settings.kafka,
        settings.names.raw(NUMBERS),
        lambda record: _apply(numbers, record),
        lambda: changed(numbers_of(numbers)),
    )


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
        try:
            await producer.start()
            await producer.send_and_wait(settings.names.raw(NUMBERS), value, number_id.encode(), partition=0)
        finally:
            await producer.stop()
