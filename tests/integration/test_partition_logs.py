"""A partition's logs on real Kafka: missing records or a foreign log end with a named error.

In each case nothing is written, and neither is a local copy made anew that is the last witness.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from tally.agents.lag import logs
from tally.schemas.rows import PROGRESS_KEY
from tally.schemas.topics import COUNTERS
from tally.streams.operations import topics
from tally.streams.operations.altering import alter
from tally.streams.settings import Settings
from tally.tables.families.registry import TABLES
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.store.errors import (
    ForeignRecord,
    LogGone,
    LogReplaced,
    LogShrank,
    PartitionsChanged,
    ProgressLost,
    StoreError,
)
from tests.support.stored_partition import CLAIM, Opener, moved

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]

Harm = Callable[[Any, Settings], Awaitable[None]]


@pytest.fixture(params=["a copy", "no copy"])
def copied(request: pytest.FixtureRequest) -> bool:
    """Open with the local copy that the former owner left, or on an empty disk."""
    return bool(request.param == "a copy")


async def counted(facts: FactsLog, opened: Opener) -> None:
    """Count a little and close."""
    await facts.append([(CLAIM, 0)] * 5)
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


async def cut(client: Any, name: str) -> None:
    """Delete the first two records of a changelog, as retention would, which a compacted log has none of."""
    assert await alter(client, {name: {"cleanup.policy": "delete"}}) == []
    await asyncio.sleep(1)
    await client.delete_records({TopicPartition(name, 0): RecordsToDelete(2)})
    assert await alter(client, {name: {"cleanup.policy": "compact"}}) == []


async def refuses(opened: Opener, folder: Path, copied: bool, error: type[StoreError], match: str) -> None:
    """Expect an opening to fail, and the next one as well: the first has changed nothing."""
    for _ in range(2):
        if not copied:
            shutil.rmtree(folder / "a", ignore_errors=True)
        with pytest.raises(error, match=match):
            await opened("a")


async def test_a_changelog_that_was_made_anew_is_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    async with topics.admin(settings) as client:
        await recreated(client, settings, settings.names.changelog("messages"))

    await refuses(
        opened, tmp_path, copied, LogReplaced, r"messages-changelog\[0\] was replaced: .* raise TALLY"
    )


async def test_a_counters_changelog_that_was_made_anew_is_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    async with topics.admin(settings) as client:
        await recreated(client, settings, settings.names.changelog(COUNTERS))

    witness = "the local copy does, up to fact 3" if copied else "the changelogs of this partition hold 3 rec"
    await refuses(
        opened, tmp_path, copied, ProgressLost, f"counters-changelog.* holds no progress, but {witness}"
    )


async def test_a_facts_log_that_was_made_anew_is_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    async with topics.admin(settings) as client:
        await recreated(client, settings, settings.names.facts)

    await refuses(opened, tmp_path, copied, LogReplaced, r"facts-g1\[0\] was replaced")


async def test_more_partitions_are_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    names = [topic.name for topic in topics.wanted(settings) if topic.as_facts]
    async with topics.admin(settings) as client:
        await client.create_partitions({name: NewPartitions(2) for name in (settings.names.facts, *names)})
        await asyncio.sleep(1)

    await refuses(
        opened, tmp_path, copied, PartitionsChanged, r"has 2 partitions, and had 1 when it was counted"
    )


async def test_a_changelog_of_which_records_were_deleted_is_refused(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    async with topics.admin(settings) as client:
        await cut(client, settings.names.changelog("messages"))

    await refuses(opened, tmp_path, copied, LogShrank, "begins at offset 2, and began at 0")


async def test_a_running_process_sees_what_becomes_of_its_logs(
    facts: FactsLog, opened: Opener, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view opens nothing, and would be live with what is left."""
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.1)
    await counted(facts, opened)
    there = logs.TopicLogs(settings.kafka, logs.log_topics(settings.names, TABLES))
    watch = logs.LogWatch(there.connect, there.first_progress)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await watch.run()
    async with topics.admin(settings) as client:
        await cut(client, settings.names.changelog("messages"))
        with pytest.raises(LogShrank, match="messages-changelog has lost records: it begins at offset 2"):
            async with asyncio.timeout(30):
                await watch.run()
        await client.delete_topics([settings.names.changelog("messages"), settings.names.facts])
    with pytest.raises(LogGone, match="is not there any more"):
        async with asyncio.timeout(30):
            await watch.run()


async def test_a_foreign_record_in_the_counters_changelog_is_named_with_its_offset(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, copied: bool
) -> None:
    await counted(facts, opened)
    producer = AIOKafkaProducer(**settings.kafka.client())
    await producer.start()
    sent = await producer.send_and_wait(
        settings.names.changelog(COUNTERS), key=b"no row", value=b"x", partition=0
    )
    await producer.stop()

    match = rf"counters-changelog\[0\] holds a record at offset {sent.offset} that is not Tally's"
    await refuses(opened, tmp_path, copied, ForeignRecord, match)


async def test_progress_knows_its_logs_and_every_state(facts: FactsLog, opened: Opener) -> None:
    await counted(facts, opened)
    store = await opened("a")
    progress = store.progress

    assert progress.states == {"messages": 2}
    # Two transactions: two records and a marker, then one record.
    assert progress.logs["messages"].end == 4
    assert progress.logs[COUNTERS].end == 4
    assert progress.logs["facts"].partitions == 1
    assert len({mark.topic_id for mark in progress.logs.values()}) == len(progress.logs)
    await store.commit({"messages": {b"k": None, b"m": b"1", b"n": b"1"}}, moved(store, 4))
    assert store.progress.states == {"messages": 3}
    assert PROGRESS_KEY not in dict(store.items(COUNTERS))
    await store.close()
