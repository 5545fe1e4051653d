"""A partition's logs on real Kafka: missing records or a foreign log end with a named error.

In each case nothing is written, and neither is a local copy made anew that is the last witness.
"""

import asyncio
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete
from msgspec import structs

from tally.agents.lag import logs
from tally.schemas.rows import PROGRESS_KEY, encode
from tally.schemas.tables import CODES
from tally.schemas.topics import CHANGELOGS, COUNTERS, STATES, Changelog
from tally.schemas.waiting import WAITING
from tally.streams.operations import topics
from tally.streams.operations.altering import alter
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.store.errors import (
    ForeignRecord,
    LogGone,
    LogReplaced,
    LogsDisagree,
    LogShrank,
    PartitionsChanged,
    StoreError,
)
from tally.tables.store.marks import log_topics
from tests.support.partition import NO_ORIGIN
from tests.support.stored_partition import CLAIM, Opener, moved

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]

each_changelog = pytest.mark.parametrize("changelog", CHANGELOGS)


@pytest.fixture(params=["a copy", "no copy"])
def copied(request: pytest.FixtureRequest) -> bool:
    """Open with the local copy that the former owner left, or on an empty disk."""
    return bool(request.param == "a copy")


async def counted(facts: FactsLog, opened: Opener) -> None:
    """Count a little, in two transactions, and close."""
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    store = await opened("a")
    await store.commit(
        {"messages": {b"k": b"1", b"l": b"1"}, COUNTERS: {b"t/c": b"\x93\x01\x02\x03"}}, moved(store, 2)
    )
    await store.commit({"messages": {b"k": b"2"}}, moved(store, 3))
    await store.close()


async def recreated(client: Any, settings: Settings, name: str) -> None:
    await client.delete_topics([name])
    await asyncio.sleep(1)
    await topics.declare(settings)


async def cut(client: Any, name: str, before: int) -> None:
    """Delete the records before an offset, as retention would, which a compacted log has none of."""
    assert await alter(client, {name: {"cleanup.policy": "delete"}}) == []
    await asyncio.sleep(1)
    await client.delete_records({TopicPartition(name, 0): RecordsToDelete(before)})
    assert await alter(client, {name: {"cleanup.policy": "compact"}}) == []


async def sent(settings: Settings, changelog: Changelog, key: bytes, value: bytes) -> int:
    """Write a record as another program would; return its offset."""
    producer = AIOKafkaProducer(**settings.kafka.client())
    await producer.start()
    record = await producer.send_and_wait(
        settings.names.changelog(changelog), key=key, value=value, partition=0
    )
    await producer.stop()
    return int(record.offset)


async def refusals(opened: Opener, folder: Path, copied: bool) -> list[StoreError]:
    """Return the errors of two openings in a row: the first has changed nothing."""
    found = []
    for _ in range(2):
        if not copied:
            shutil.rmtree(folder / "a", ignore_errors=True)
        with pytest.raises(StoreError) as raised:
            await opened("a")
        found.append(raised.value)
    return found


def say(errors: Sequence[StoreError], error: type[StoreError], match: str) -> bool:
    return all(type(one) is error and re.search(match, str(one)) is not None for one in errors)


@each_changelog
async def test_a_changelog_that_was_made_anew_is_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool, changelog: Changelog
) -> None:
    """Progress in the other one knows which one it was."""
    await counted(facts, opened)
    async with topics.admin(settings) as client:
        await recreated(client, settings, settings.names.changelog(changelog))

    match = rf"g1-{changelog}\[0\] was replaced: .* raise TALLY"
    assert say(await refusals(opened, tmp_path, copied), LogReplaced, match)


async def test_of_two_changelogs_that_were_made_anew_the_local_copy_is_the_witness(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path
) -> None:
    await counted(facts, opened)
    async with topics.admin(settings) as client:
        for changelog in CHANGELOGS:
            await recreated(client, settings, settings.names.changelog(changelog))

    assert say(
        await refusals(opened, tmp_path, True),
        LogReplaced,
        "was replaced: .* give it another TALLY_STATE_FOLDER",
    )


async def test_a_facts_log_that_was_made_anew_is_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    async with topics.admin(settings) as client:
        await recreated(client, settings, settings.names.facts)

    assert say(await refusals(opened, tmp_path, copied), LogReplaced, r"facts-g1\[0\] was replaced")


async def test_more_partitions_are_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    names = [topic.name for topic in topics.wanted(settings) if topic.as_facts]
    async with topics.admin(settings) as client:
        await client.create_partitions({name: NewPartitions(2) for name in (settings.names.facts, *names)})
        await asyncio.sleep(1)

    assert say(
        await refusals(opened, tmp_path, copied),
        PartitionsChanged,
        r"has 2 partitions, and had 1 when it was counted",
    )


@each_changelog
@pytest.mark.parametrize("left", ["some", "nothing"])
async def test_a_changelog_of_which_records_were_deleted_is_refused(
    facts: FactsLog,
    opened: Opener,
    settings: Settings,
    tmp_path: Path,
    copied: bool,
    changelog: Changelog,
    left: str,
) -> None:
    await counted(facts, opened)
    before = {STATES: 7, COUNTERS: 5}[changelog] if left == "nothing" else 2
    async with topics.admin(settings) as client:
        await cut(client, settings.names.changelog(changelog), before)

    assert say(
        await refusals(opened, tmp_path, copied), LogShrank, f"begins at offset {before}, and began at 0"
    )


async def test_changelogs_that_end_with_different_transactions_are_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    store = await opened("b")
    later = encode(structs.replace(store.progress, seq=9))
    await store.close()
    await sent(settings, STATES, PROGRESS_KEY, later)

    match = (
        r"g1-states\[0\] ends with transaction 9 of .*g1-counters\[0\] with transaction 2 of .* raise TALLY"
    )
    assert say(await refusals(opened, tmp_path, copied), LogsDisagree, match)


async def test_a_running_process_sees_what_becomes_of_its_logs(
    facts: FactsLog, opened: Opener, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view opens nothing, and would be live with what is left."""
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.1)
    await counted(facts, opened)
    there = logs.TopicLogs(settings.kafka, log_topics(settings.names))
    watch = logs.LogWatch(there.connect, there.first_progress)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await watch.run()
    async with topics.admin(settings) as client:
        await cut(client, settings.names.changelog(STATES), 2)
        with pytest.raises(LogShrank, match="g1-states has lost records: it begins at offset 2"):
            async with asyncio.timeout(30):
                await watch.run()
        await client.delete_topics([settings.names.changelog(STATES), settings.names.facts])
    with pytest.raises(LogGone, match="is not there any more"):
        async with asyncio.timeout(30):
            await watch.run()


@pytest.mark.parametrize(
    ("changelog", "key", "what"),
    [
        (COUNTERS, b"no row", "no row"),
        (COUNTERS, WAITING + b"t1/pbx01/sales", "no row"),
        (COUNTERS, PROGRESS_KEY, "no progress record"),
        (STATES, CODES[COUNTERS] + b"t/c", "its key begins with no table's byte"),
        (STATES, b"\x00meta", "its key begins with no table's byte"),
        (STATES, PROGRESS_KEY, "no progress record"),
    ],
)
async def test_a_foreign_record_in_a_changelog_is_named_with_its_offset(
    facts: FactsLog,
    opened: Opener,
    settings: Settings,
    tmp_path: Path,
    copied: bool,
    changelog: Changelog,
    key: bytes,
    what: str,
) -> None:
    await counted(facts, opened)
    offset = await sent(settings, changelog, key, b"x")

    match = rf"g1-{changelog}\[0\] holds a record at offset {offset} that is not Tally's \({what}"
    assert say(await refusals(opened, tmp_path, copied), ForeignRecord, match)


async def test_progress_knows_its_logs_and_every_state(facts: FactsLog, opened: Opener) -> None:
    await counted(facts, opened)
    store = await opened("a")
    progress = store.progress

    assert progress.states == {"messages": 2}
    assert progress.seq == 2
    # Two transactions: two records, progress and a marker, then one record and progress.
    assert progress.logs[STATES].end == 6
    assert progress.logs[COUNTERS].end == 4
    assert progress.logs["facts"].partitions == 1
    assert len({mark.topic_id for mark in progress.logs.values()}) == len(progress.logs)
    await store.commit({"messages": {b"k": None, b"m": b"1", b"n": b"1"}}, moved(store, 4))
    assert store.progress.states == {"messages": 3}
    assert PROGRESS_KEY not in dict(store.items(COUNTERS))
    await store.close()
