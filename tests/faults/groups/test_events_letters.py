"""D8: dead letters that cannot be written for a while."""

import asyncio
from itertools import cycle, islice
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tally.schemas.sources import RAW_TOPICS, READERS
from tally.schemas.topics import DEAD_LETTER_LIMIT_BYTES, DEAD_LETTERS
from tally.simulator.poison import small_poisons
from tally.streams.operations.topics import admin, wanted
from tally.tables.kafka.read_to_end import read_to_end
from tests.faults.events import record_of
from tests.faults.groups.letters import as_kept, kept, unreadable
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.stack import Stack, stack, until
from tests.support.judge import simulated

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

AWAY_SECONDS = 8.0
BACK_SECONDS = 60.0
POISONS = 40


async def test_while_dead_letters_cannot_be_written_no_offset_moves_past_one(tmp_path: Path) -> None:
    """The broker refuses them: a letter that was written may be written twice, none is lost."""
    good = simulated(581, contacts_per_campaign=20)
    poisons = [record_of(poison) for poison in islice(cycle(small_poisons()), POISONS)]
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        await sender.send(good[:1000])
        await whole.counted(whole.workers[0], BACK_SECONDS)
        before = unreadable(good[:1000])
        assert as_kept(await kept(whole)) == before
        await limit(whole, 1)
        await sender.send([*poisons, *good[1000:]])
        await until(lambda: len(whole.exits) > 0, BACK_SECONDS, "a worker that cannot keep it ends")
        await asyncio.sleep(AWAY_SECONDS)
        during, moved = as_kept(await kept(whole)), await first_unrecorded(whole)
        await limit(whole, DEAD_LETTER_LIMIT_BYTES)
        await whole.ready(whole.workers[0])
        await assert_exact(whole, whole.workers[0], sender.sent)
        after, exits = await kept(whole), list(whole.exits)

    assert during == before
    assert moved == [], "an offset moved past a poison that is in no dead letter"
    assert as_kept(after) == unreadable([*good, *poisons])
    assert all(code != 0 for _, code in exits)


async def limit(whole: Stack, limit_bytes: int) -> None:
    """Set how large a dead letter may be; whatever else is not named falls back to the broker's own."""
    name = whole.settings.names.raw(DEAD_LETTERS)
    declared = next(topic for topic in wanted(whole.settings) if topic.name == name)
    config = declared.config(min_insync=1) | {"max.message.bytes": str(limit_bytes)}
    async with admin(whole.settings) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=config)])


async def first_unrecorded(whole: Stack) -> list[str]:
    """Return bad raw records before route's offsets that are in no dead letter."""
    settings, letters = whole.settings, {letter.origin for letter in await kept(whole)}
    async with admin(settings) as client:
        offsets = await client.list_consumer_group_offsets(settings.names.group("route"))
    committed = {place: found.offset for place, found in offsets.items()}
    logical = {settings.names.raw(topic): topic for topic in RAW_TOPICS}
    unrecorded = []
    async for record in read_to_end(settings.kafka, list(logical), BACK_SECONDS):
        is_bad = READERS[logical[record.topic]](record.value, record.headers).bad
        is_behind = record.offset < committed.get(TopicPartition(record.topic, record.partition), 0)
        origin = f"{record.topic}/{record.partition}/{record.offset}"
        if is_bad and is_behind and origin not in letters:
            unrecorded.append(origin)
    return unrecorded
