"""One partition's tables on real Kafka: a batch is applied wholly or not at all, and never twice."""

import asyncio
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tally.agents.clock import unix_ms
from tally.schemas.rows import PROGRESS_KEY, decode_progress
from tally.schemas.topics import CHANGELOGS, COUNTERS, STATES, Changelog
from tally.streams.operations import topics
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.kafka.read_to_end import read_to_end
from tally.tables.store.errors import ProgressOutsideLog, StoreBroken
from tally.tables.store.interface import Writes
from tally.tables.store.partition import PartitionStore
from tally.tables.store.transaction import ChangelogWriter
from tests.support.partition import NO_ORIGIN
from tests.support.stored_partition import CLAIM, ROW, Opener, moved, store_settings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]


async def test_what_is_committed_is_there_after_a_restart_and_after_the_disk_is_gone(
    facts: FactsLog, opened: Opener, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    store = await opened("a")
    await store.commit({"messages": {b"k": b"1", b"gone": b"x"}}, moved(store, 3))
    await store.commit({"messages": {b"k": b"2", b"gone": None}, COUNTERS: {b"t/c": ROW}}, moved(store, 5))
    await store.close()
    for wipe in (False, True):
        if wipe:
            shutil.rmtree(tmp_path / "a")
        store = await opened("a")
        found = store.get_many("messages", [b"k", b"gone"])
        rows = list(store.items(COUNTERS))
        assert (found, rows, store.progress.next_offset) == ([b"2", None], [(b"t/c", ROW)], 5)
        assert (store.recovered > 0) == wipe
        await store.close()


async def test_each_transaction_ends_in_both_changelogs_with_the_same_progress(
    facts: FactsLog, opened: Opener, settings: Settings
) -> None:
    """What a reader of both may rely on, whatever a transaction changes, and whoever wrote the former one."""
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    written: list[Writes] = [
        {"messages": {b"k": b"1", b"l": b"1"}, "aliases": {b"cm": b"k"}, COUNTERS: {b"t/c": ROW}},
        {"messages": {b"k": None}},
        {COUNTERS: {b"t/c": ROW}},
        {},
    ]
    for nth, writes in enumerate(written):
        store = await opened(f"{nth}")
        await store.commit(writes, moved(store, nth))
        await store.close()
    ended = {log: await transactions(settings, log) for log in CHANGELOGS}
    keys = {log: [[key for key, _ in some] for some, _ in ended[log]] for log in CHANGELOGS}
    progress = [decode_progress(last.value) for _, last in ended[STATES]]

    assert keys[STATES] == [[b"mk", b"ml", b"acm"], [b"mk"], [], []]
    assert keys[COUNTERS] == [[b"t/c"], [], [b"t/c"], []]
    assert [last.value for _, last in ended[COUNTERS]] == [last.value for _, last in ended[STATES]]
    assert [one.seq for one in progress] == [1, 2, 3, 4]
    for log in CHANGELOGS:
        # Progress says where its own transaction ends in each of them.
        assert [one.logs[log].end for one in progress] == [last.offset + 1 for _, last in ended[log]]


async def transactions(settings: Settings, log: Changelog) -> list[tuple[list[tuple[bytes, bytes]], Any]]:
    """Return the transactions of a changelog: what each one wrote, and its last record, which is progress."""
    found: list[tuple[list[tuple[bytes, bytes]], Any]] = []
    some: list[tuple[bytes, bytes]] = []
    async for record in read_to_end(settings.kafka, [settings.names.changelog(log)], 30):
        if record.key == PROGRESS_KEY:
            found.append((some, record))
            some = []
        else:
            some.append((record.key, record.value))
    assert some == []
    return found


async def test_a_former_owner_that_was_fenced_changes_nothing_and_is_broken_for_good(
    facts: FactsLog, opened: Opener
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    zombie = await opened("zombie")
    await zombie.commit({"messages": {b"k": b"old"}}, moved(zombie, 1))
    owner = await opened("owner")
    for _ in range(2):
        with pytest.raises(StoreBroken):
            await zombie.commit({"messages": {b"k": b"zombie"}}, moved(zombie, 4))
    await owner.commit({"messages": {b"other": b"new"}}, moved(owner, 2))

    assert zombie.get_many("messages", [b"k"]) == [b"old"]
    assert owner.get_many("messages", [b"k", b"other"]) == [b"old", b"new"]
    assert zombie.progress.next_offset == 1
    for store in (zombie, owner):
        await store.close()


async def test_a_batch_that_fails_between_its_records_and_its_commit_never_happened(
    facts: FactsLog, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    store = await opened("a")
    await store.commit({"messages": {b"k": b"1"}}, moved(store, 1))

    async def fails(_: object) -> None:
        raise ConnectionError("cut between produce and commit")

    monkeypatch.setattr("aiokafka.AIOKafkaProducer.commit_transaction", fails)
    with pytest.raises(StoreBroken):
        await store.commit({"messages": {b"k": b"2"}, COUNTERS: {b"t/c": ROW}}, moved(store, 2))
    assert store.get_many("messages", [b"k"]) == [b"1"]
    monkeypatch.undo()
    await store.close()
    again = await opened("a")

    assert again.get_many("messages", [b"k"]) == [b"1"]
    assert list(again.items(COUNTERS)) == []
    assert again.progress.next_offset == 1
    await again.close()


async def test_a_cancelled_batch_still_ends_one_way_or_the_other(facts: FactsLog, opened: Opener) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    store = await opened("a")
    committing = asyncio.ensure_future(store.commit({"messages": {b"k": b"1"}}, moved(store, 1)))
    await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing

    assert store.get_many("messages", [b"k"]) == [b"1"]
    assert store.progress.next_offset == 1
    await store.close()


async def test_progress_beyond_the_log_is_a_named_error_and_never_a_jump(
    facts: FactsLog, opened: Opener
) -> None:
    store = await opened("a")
    await store.commit({}, moved(store, 7))
    await store.close()

    with pytest.raises(ProgressOutsideLog, match=r"progress 7 .* outside its log \[0, 0\]"):
        await opened("a")


async def test_two_deployments_may_share_a_folder(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)] * 5)
    store = await opened("a")
    await store.commit({"messages": {b"k": b"theirs"}}, moved(store, 1))
    other = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "other-"})
    await topics.declare(other)
    beside = PartitionStore(store_settings(other, tmp_path / "a"), 0)
    await beside.open()

    assert beside.get_many("messages", [b"k"]) == [None]
    assert store.get_many("messages", [b"k"]) == [b"theirs"]
    await store.close()
    await beside.close()


async def test_a_copy_is_known_by_its_store_id_however_far_back_that_stands(
    facts: FactsLog, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)])
    store = await opened("a")
    await store.commit({"messages": {b"k": b"1"}}, moved(store, 1))
    await store.close()
    # All that it holds is the marker of the last transaction.
    monkeypatch.setattr("tally.tables.store.recovery.TAIL", 1)
    again = await opened("a")

    assert again.progress == store.progress
    assert again.recovered == 0
    await again.close()


async def test_a_transaction_of_many_batches_is_one(facts: FactsLog, settings: Settings) -> None:
    writer = ChangelogWriter(settings.kafka, f"big-{uuid4().hex}", 0)
    await writer.start()
    topic = settings.names.changelog(STATES)
    done = await writer.commit({topic: {f"{n}".encode(): bytes(400_000) for n in range(8)}})

    assert done.ends == {topic: 8}
    assert abs(done.at_ms - unix_ms()) < 60_000
    await writer.close()
