"""An audit's copy of a partition is of one moment, even while a transaction shows in one changelog alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from msgspec import structs

from tally.schemas.rows import PROGRESS_KEY, Progress, encode
from tally.schemas.topics import CHANGELOGS, COUNTERS, STATES, Changelog
from tally.streams.audit.copies import Copies
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.store.interface import Writes, by_changelog
from tally.tables.store.marks import moved as marks_moved
from tests.support.partition import NO_ORIGIN
from tests.support.stored_partition import CLAIM, ROW, Opener, moved

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]

LATER: Writes = {"messages": {b"k": b"3"}, COUNTERS: {b"t/late": ROW}}


@pytest.fixture
def kept(settings: Settings, tmp_path: Path) -> Iterator[Copies]:
    copies = Copies(settings, tmp_path)
    yield copies
    copies.close()


async def show(settings: Settings, log: Changelog, progress: Progress) -> None:
    """Write in one changelog what a transaction leaves there, as readers see it before the other's part."""
    producer = AIOKafkaProducer(**settings.kafka.client())
    await producer.start()
    for key, value in [*by_changelog(LATER)[log].items(), (PROGRESS_KEY, encode(progress))]:
        await producer.send_and_wait(settings.names.changelog(log), key=key, value=value, partition=0)
    await producer.stop()


@pytest.mark.parametrize("first", CHANGELOGS)
async def test_a_transaction_that_shows_in_one_changelog_alone_is_not_in_the_copy_yet(
    facts: FactsLog, opened: Opener, settings: Settings, kept: Copies, first: Changelog
) -> None:
    assert list((await kept.refreshed(0)).items("messages")) == []
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    store = await opened("a")
    await store.commit({"messages": {b"k": b"1"}}, moved(store, 1))
    await store.commit({"messages": {b"k": b"2"}, COUNTERS: {b"t/c": ROW}}, moved(store, 2))
    known = store.progress
    await store.close()
    # Each part is one record and progress, behind the marker of the second transaction.
    ends = {log: known.logs[log].end + 3 for log in CHANGELOGS}
    progress = structs.replace(known, seq=3, logs=marks_moved(known.logs, ends))
    await show(settings, first, progress)
    copy = await kept.refreshed(0)
    assert copy.get_many("messages", [b"k"]) == [b"2"]
    assert copy.get_many(COUNTERS, [b"t/c", b"t/late"]) == [ROW, None]

    await show(settings, COUNTERS if first == STATES else STATES, progress)
    copy = await kept.refreshed(0)
    assert copy.get_many("messages", [b"k"]) == [b"3"]
    assert copy.get_many(COUNTERS, [b"t/c", b"t/late"]) == [ROW, ROW]
