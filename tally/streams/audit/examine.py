"""The audit itself: rows against states, against Postgres, and against the raw topics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct, field

from tally.agents.audit.counting import counted_from_states, rows_of
from tally.agents.audit.drift import Drift, comparable, drift
from tally.agents.route.decision import READERS
from tally.streams.audit.copies import Copies, copies
from tally.streams.audit.raw import counted_from_raw
from tally.streams.audit.stored import Rows, stored_rows
from tally.streams.log_reading import partitions_of
from tally.streams.settings import Settings

TRIES = 3
PAUSE_SECONDS = 1.0
"""A copy is read changelog by changelog while transactions go on: one that is torn is whole the next time."""
DEADLINE_SECONDS = 30.0


class Audit(Struct):
    """What an audit has found."""

    rows: int = 0
    drift: list[Drift] = field(default_factory=list)
    behind: int = 0
    """Rows whose newest counts Postgres has not been sent yet: late, not wrong."""
    raw: str = "not asked for"
    """Whether the raw topics could be counted again, and if not, why."""


async def examine(settings: Settings, with_raw: bool) -> Audit:
    """Audit all partitions. Raises TimeoutError, and what Kafka and Postgres raise."""
    found = Audit()
    with copies(settings) as kept:
        partitions = await _partitions(settings)
        for partition in range(partitions):
            found.drift += await _settled(settings, kept, partition)
        stored = await stored_rows(settings)
        for partition in range(partitions):
            local = await kept.refreshed(partition)
            held = rows_of(local)
            found.rows += len(held)
            ours, theirs, behind = comparable(held, stored.get(partition, {}))
            found.behind += behind
            found.drift += drift("postgres", partition, ours, theirs)
        if with_raw:
            found.raw = await _against_raw(settings, kept, partitions, found)
    return found


async def _settled(settings: Settings, kept: Copies, partition: int) -> list[Drift]:
    """Compare rows with states until they agree, or disagree three times."""
    differing: list[Drift] = []
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        local = await kept.refreshed(partition)
        counted = await asyncio.to_thread(counted_from_states, local, settings.rules)
        differing = list(drift("states", partition, _counts(rows_of(local)), counted))
        if not differing:
            break
    return differing


async def _against_raw(settings: Settings, kept: Copies, partitions: int, found: Audit) -> str:
    """Compare rows with the raw topics, if nothing is under way and nothing of them has expired."""
    before = await _raw_offsets(settings)
    if any(start > 0 for start, _ in before.values()):
        return "the raw topics no longer hold everything: their oldest events have expired"
    stores = await counted_from_raw(settings, kept, partitions)
    differing: list[Drift] = []
    for partition, store in stores.items():
        counted = _counts(rows_of(store))
        store.close()
        differing += await _counted_in_time(kept, partition, counted)
    if await _raw_offsets(settings) != before:
        return "events came in meanwhile: ask again when it is quiet"
    found.drift += differing
    return "counted again"


async def _counted_in_time(kept: Copies, partition: int, counted: dict[bytes, dict[str, int]]) -> list[Drift]:
    """Compare rows with what raw events come to; the last of them may still be under way."""
    differing: list[Drift] = []
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        held = _counts(rows_of(await kept.refreshed(partition)))
        differing = list(drift("raw", partition, held, counted))
        if not differing:
            break
    return differing


def _counts(rows: Rows) -> dict[bytes, dict[str, int]]:
    return {key: counts for key, (_, counts) in rows.items()}


async def _partitions(settings: Settings) -> int:
    async with _consumer(settings) as consumer:
        return len(await partitions_of(consumer, settings.names.facts, DEADLINE_SECONDS))


async def _raw_offsets(settings: Settings) -> dict[TopicPartition, tuple[int, int]]:
    """Return where each partition of the raw topics begins and ends."""
    async with _consumer(settings) as consumer:
        found = [
            TopicPartition(settings.names.raw(source), partition)
            for source in READERS
            for partition in sorted(
                await partitions_of(consumer, settings.names.raw(source), DEADLINE_SECONDS)
            )
        ]
        starts = await asyncio.wait_for(consumer.beginning_offsets(found), DEADLINE_SECONDS)
        ends = await asyncio.wait_for(consumer.end_offsets(found), DEADLINE_SECONDS)
    return {tp: (starts[tp], ends[tp]) for tp in found}


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)
    await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
    try:
        yield consumer
    finally:
        await consumer.stop()
