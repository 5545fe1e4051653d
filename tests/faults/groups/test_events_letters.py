"""D8 and D9: dead letters that cannot be written for a while, and events that are mended and come again."""

import asyncio
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tally.agents.route.decision import READERS
from tally.schemas.topics import DEAD_LETTER_LIMIT_BYTES, DEAD_LETTERS, RAW_TOPICS
from tally.streams.dead_letters import DeadLetter
from tally.streams.demo.answers import Answers
from tally.streams.log_reading import read_to_end
from tally.streams.simulator.poison import send_result, small_poisons
from tally.streams.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, RawRecord, as_producers_write
from tally.streams.topics import admin
from tests.faults.events import record_of
from tests.faults.groups.letters import as_kept, kept, unreadable
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.stack import Stack, stack, until
from tests.support.judge import simulated
from tests.support.webhooks import NUMBER, body, messages, status

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

AWAY_SECONDS = 8.0
BACK_SECONDS = 60.0
POISONS = 40
TENANT, CAMPAIGN = "mended", "mended"
MESSAGES = 20
AT_S = 1_795_350_000


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
    """Set how large a dead letter may be."""
    topic = whole.settings.names.raw(DEAD_LETTERS)
    config = {"max.message.bytes": str(limit_bytes)}
    async with admin(whole.settings) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])


async def first_unrecorded(whole: Stack) -> list[str]:
    """Return bad raw records before route's offsets that are in no dead letter."""
    settings, letters = whole.settings, {letter.origin for letter in await kept(whole)}
    async with admin(settings) as client:
        offsets = await client.list_consumer_group_offsets(settings.names.group("route"))
    committed = {place: found.offset for place, found in offsets.items()}
    logical = {settings.names.raw(topic): topic for topic in RAW_TOPICS}
    unrecorded = []
    async for record in read_to_end(settings.kafka_client(), list(logical), BACK_SECONDS):
        is_bad = READERS[logical[record.topic]](record.value, record.headers).bad
        is_behind = record.offset < committed.get(TopicPartition(record.topic, record.partition), 0)
        origin = f"{record.topic}/{record.partition}/{record.offset}"
        if is_bad and is_behind and origin not in letters:
            unrecorded.append(origin)
    return unrecorded


async def test_what_is_mended_and_published_twice_counts_once_and_its_good_parts_not_again(
    tmp_path: Path,
) -> None:
    """By hand: the bytes of the dead letters, mended, published as any other event."""
    broken = [*_without_time(), *_with_a_bad_neighbour()]
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        await sender.send(broken)
        await whole.counted(whole.workers[0], BACK_SECONDS)
        before, letters = await totals(whole), await kept(whole)
        mended = [_mended(letter) for letter in letters]
        for _ in range(2):
            await sender.send(mended)
            await whole.counted(whole.workers[0], BACK_SECONDS)
        await assert_exact(whole, whole.workers[0], sender.sent)
        after, kept_at_last = await totals(whole), await kept(whole)

    assert len(letters) == len(broken) == 2 * MESSAGES
    assert before == {}
    assert {name: after[name] for name in ("accepted", "sent", "delivered", "read")} == {
        "accepted": MESSAGES,
        "sent": MESSAGES,
        "delivered": MESSAGES,
        "read": MESSAGES,
    }
    assert kept_at_last == letters


def _without_time() -> list[RawRecord]:
    results = (
        send_result(
            tenant=TENANT,
            campaign=CAMPAIGN,
            contact={"id": nth, "phone": f"+316{nth:08d}"},
            message_id=f"wamid.mended.{nth}",
            time=...,
        )
        for nth in range(MESSAGES)
    )
    return [RawRecord(SEND_RESULTS, None, as_producers_write(result)) for result in results]


def _with_a_bad_neighbour() -> list[RawRecord]:
    """Return POSTs in which a good `delivered` stands beside a `read` without a time."""
    return [
        RawRecord(
            WEBHOOK_EVENTS,
            None,
            body(
                messages(
                    NUMBER,
                    statuses=[
                        status(id=f"wamid.mended.{nth}", status="delivered", timestamp=str(AT_S)),
                        status(id=f"wamid.mended.{nth}", status="read", timestamp="soon"),
                    ],
                )
            ),
        )
        for nth in range(MESSAGES)
    ]


def _mended(letter: DeadLetter) -> RawRecord:
    """Return the original event with the time that it lacked."""
    if "send-results" in letter.origin:
        return RawRecord(
            SEND_RESULTS, letter.key, orjson.dumps(orjson.loads(letter.value) | {"time": AT_S * 1000})
        )
    return RawRecord(WEBHOOK_EVENTS, letter.key, letter.value.replace(b'"soon"', b'"%d"' % (AT_S + 60)))


async def totals(whole: Stack) -> Any:
    """Return the totals of the campaign, nothing where nothing is known of it."""
    async with Answers(whole.workers[0].url) as answers:
        return next((one["totals"] for one in await answers.campaigns(TENANT)), {})
