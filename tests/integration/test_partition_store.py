"""One partition's tables on real Kafka: a batch happens wholly or not at all, and never twice."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tally.agents.fold.assignment import Assignment
from tally.agents.fold.batch import FactRecord
from tally.agents.fold.failure import FamilyFailure
from tally.agents.fold.partition import PartitionFold
from tally.agents.fold.settings import FoldSettings
from tally.agents.turns import Turns
from tally.schemas.facts import CUSTOMER, MESSAGE, Claim, Claimed, Send, Sighting, StatusSeen
from tally.schemas.keyed import KeyedFact
from tally.schemas.keys import Template, join_parts
from tally.schemas.rows import Progress, decode_row
from tally.schemas.topics import COUNTERS
from tally.streams import topics
from tally.streams.roles import unix_ms
from tally.streams.settings import Settings, load
from tally.streams.topics import admin
from tally.tables.facts_log import FactsLog
from tally.tables.families.registry import INCOMPLETE, TABLES
from tally.tables.rules import Rules
from tally.tables.store.errors import ProgressOutsideLog, StoreBroken
from tally.tables.store.partition import PartitionStore, StoreSettings
from tally.tables.store.transaction import ChangelogWriter
from tests.support.partition import Record, record
from tests.support.servers import Kafka

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]

KEY = join_parts("106540352242922", "wamid.1")
CLAIM = KeyedFact(
    MESSAGE, KEY, Claimed(Claim(1_795_000_000_000, "t", "c", "8", "1", Template("promo", "nl")))
)


@pytest.fixture
def settings(kafka: Kafka) -> Settings:
    return load({}, kafka_bootstrap=kafka.bootstrap, topic_prefix=f"s{uuid4().hex[:8]}-", partitions=1)


@pytest_asyncio.fixture
async def facts(settings: Settings) -> AsyncIterator[FactsLog]:
    await topics.declare(settings)
    log = FactsLog(settings.kafka_client(), settings.names.facts)
    await log.start()
    yield log
    await log.close()


Opener = Callable[[str], Awaitable[PartitionStore]]


@pytest.fixture
def opened(settings: Settings, tmp_path: Path) -> Opener:
    async def open_(folder: str) -> PartitionStore:
        store = PartitionStore(store_settings(settings, tmp_path / folder), 0)
        await store.open()
        return store

    return open_


def store_settings(settings: Settings, folder: Path) -> StoreSettings:
    return StoreSettings(
        settings.kafka_client(), settings.names, TABLES, folder, unix_ms, lambda: uuid4().hex
    )


def moved(store: PartitionStore, next_offset: int) -> Progress:
    return Progress(next_offset, store.progress.store_id, "rules")


async def test_what_is_committed_is_there_after_a_restart_and_after_the_disk_is_gone(
    facts: FactsLog, opened: Opener, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, 0)] * 5)
    store = await opened("a")
    await store.commit({"messages": {b"k": b"1", b"gone": b"x"}}, moved(store, 3))
    await store.commit({"messages": {b"k": b"2", b"gone": None}, COUNTERS: {b"row": b"r"}}, moved(store, 5))
    await store.close()
    for wipe in (False, True):
        if wipe:
            shutil.rmtree(tmp_path / "a")
        store = await opened("a")
        found = store.get_many("messages", [b"k", b"gone"])
        rows = list(store.items(COUNTERS))
        assert (found, rows, store.progress.next_offset) == ([b"2", None], [(b"row", b"r")], 5)
        assert (store.recovered > 0) == wipe
        await store.close()


async def test_a_former_owner_that_was_fenced_changes_nothing_and_is_broken_for_good(
    facts: FactsLog, opened: Opener
) -> None:
    await facts.append([(CLAIM, 0)] * 5)
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
    await facts.append([(CLAIM, 0)] * 5)
    store = await opened("a")
    await store.commit({"messages": {b"k": b"1"}}, moved(store, 1))

    async def fails(_: object) -> None:
        raise ConnectionError("cut between produce and commit")

    monkeypatch.setattr("aiokafka.AIOKafkaProducer.commit_transaction", fails)
    with pytest.raises(StoreBroken):
        await store.commit({"messages": {b"k": b"2"}, COUNTERS: {b"row": b"2"}}, moved(store, 2))
    assert store.get_many("messages", [b"k"]) == [b"1"]
    monkeypatch.undo()
    await store.close()
    again = await opened("a")

    assert again.get_many("messages", [b"k"]) == [b"1"]
    assert list(again.items(COUNTERS)) == []
    assert again.progress.next_offset == 1
    await again.close()


async def test_a_cancelled_batch_still_ends_one_way_or_the_other(facts: FactsLog, opened: Opener) -> None:
    await facts.append([(CLAIM, 0)] * 5)
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


async def test_a_copy_of_another_changelog_is_rebuilt(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, 0)] * 5)
    store = await opened("a")
    await store.commit({"messages": {b"k": b"theirs"}}, moved(store, 1))
    await store.close()
    # The same folder, but another deployment's topics.
    other = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "other-"})
    await topics.declare(other)
    store = PartitionStore(store_settings(other, tmp_path / "a"), 0)
    await store.open()

    assert store.get_many("messages", [b"k"]) == [None]
    assert store.progress.next_offset == 0
    await store.close()


class Quiet:
    """Watches without looking."""

    def opened(self, partition: int, seconds: float, records: int) -> None: ...
    def folded(self, partition: int, facts: dict[str, int], fold_s: float, commit_s: float) -> None: ...
    def set_aside(self, partition: int, facts: int) -> None: ...


class OneRun:
    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.acked = asyncio.Event()

    def ack(self) -> None:
        self.acked.set()


async def fold_once(store: PartitionStore, records: list[Record], kept: list[tuple[int, str]]) -> None:
    """Let a process live until it has folded the records, or until it fails."""

    async def keep(_: int, fact: FactRecord, error: str) -> None:
        kept.append((fact.offset, error))

    failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    watch = FoldSettings(Rules(), Quiet(), asyncio.get_running_loop().time, keep)
    assignment = Assignment(lambda _: PartitionFold(watch, store, seek), failed.set_exception)
    run = OneRun(records)

    def seek(next_offset: int) -> None:
        assert next_offset == store.progress.next_offset
        assignment.deliver(0, run)

    assignment.assign({0})
    acked: asyncio.Future[Any] = asyncio.ensure_future(run.acked.wait())
    await asyncio.wait({acked, failed}, return_when=asyncio.FIRST_COMPLETED)
    acked.cancel()
    await assignment.close(20)
    if failed.done():
        failed.result()
    failed.cancel()


async def test_a_fact_that_our_code_cannot_take_is_set_aside_at_the_third_life_and_its_neighbours_count(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    good = [CLAIM, KeyedFact(MESSAGE, KEY, StatusSeen("read", 1_795_000_009))]
    await facts.append([(fact, 0) for fact in (good[0], good[0], good[1])])
    records = [record(0, good[0]), record(1, good[0]), record(2, good[1])]
    records[1] = records[1]._replace(value=records[1].value[:8] + b"no fact of ours")
    kept: list[tuple[int, str]] = []
    for life in range(3):
        store = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
        if life < 2:
            with pytest.raises(FamilyFailure):
                await fold_once(store, records, kept)
            assert kept == []
            assert store.progress.next_offset == 1
        else:
            await fold_once(store, records, kept)
    after = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await after.open()
    ((_, row),) = after.items(COUNTERS)

    assert [offset for offset, _ in kept] == [1]
    assert "ValidationError at batch.py:" in kept[0][1]
    assert (after.progress.next_offset, after.progress.set_aside) == (3, 1)
    assert list(after.items(INCOMPLETE)) == [(b"m" + KEY, b"1")]
    assert decode_row(row).counts["read"] == 1
    await after.close()


async def test_a_subject_that_outgrows_a_record_is_given_up_on_without_an_exit_and_others_count(
    facts: FactsLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tally.agents.fold.batch.STATE_LIMIT_BYTES", 600)
    number = join_parts("106540352242922")
    sends = [
        KeyedFact(
            CUSTOMER, number, Sighting([b"p0", b"w%12d" % n], Send(b"%12d" % n, Claim(n, "t", "c", str(n))))
        )
        for n in range(40)
    ]
    other = KeyedFact(CUSTOMER, number, Sighting([b"p1"], Send(b"other", Claim(1, "t", "c", "x"))))
    together = [*sends[:20], CLAIM, *sends[20:], other]
    await facts.append([(fact, 0) for fact in together])
    kept: list[tuple[int, str]] = []
    store = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await fold_once(store, [record(n, fact) for n, fact in enumerate(together)], kept)
    after = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await after.open()
    rows = {key: decode_row(value).counts for key, value in after.items(COUNTERS)}

    assert after.progress.next_offset == len(together)
    assert after.progress.set_aside == len({offset for offset, _ in kept}) > 20
    assert all("StateTooLarge" in error for _, error in kept)
    assert list(after.items(INCOMPLETE)) == [(b"c" + number + b"/p0", b"too_large")]
    assert rows[b"t/c"]["contacts_accepted"] == 2
    assert rows[b"t/c/promo/nl"]["accepted"] == 1
    await after.close()


async def test_rows_that_were_lost_are_counted_anew_from_the_states(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, 0)])
    await fold_once(PartitionStore(store_settings(settings, tmp_path / "a"), 0), [record(0, CLAIM)], [])
    async with admin(settings) as client:
        await client.delete_topics([settings.names.changelog(COUNTERS)])
    await asyncio.sleep(1)
    await topics.declare(settings)
    await fold_once(PartitionStore(store_settings(settings, tmp_path / "a"), 0), [record(0, CLAIM)], [])
    after = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await after.open()
    ((_, row),) = after.items(COUNTERS)

    assert decode_row(row).counts["accepted"] == 1
    await after.close()


async def test_a_partition_that_is_revoked_while_it_opens_does_not_fence_its_new_owner(
    facts: FactsLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facts.append([(CLAIM, 0)])
    slow = asyncio.Event()
    start = ChangelogWriter.start

    async def slowly(writer: ChangelogWriter) -> None:
        await slow.wait()
        await start(writer)

    failures: list[BaseException] = []
    watch = FoldSettings(Rules(), Quiet(), asyncio.get_running_loop().time, lambda *_: asyncio.sleep(0))
    former = PartitionStore(store_settings(settings, tmp_path / "former"), 0)
    assignment = Assignment(lambda _: PartitionFold(watch, former, lambda _: None), failures.append)
    monkeypatch.setattr(ChangelogWriter, "start", slowly)
    assignment.assign({0})
    await asyncio.sleep(0.1)
    assignment.revoke({0})
    monkeypatch.undo()
    owner = PartitionStore(store_settings(settings, tmp_path / "owner"), 0)
    await owner.open()
    slow.set()
    await assignment.close(10)
    await owner.commit({}, moved(owner, 1))

    assert failures == []
    await owner.close()


class RevokedMeanwhile(Turns):
    """Turns whose wait is as long as it takes to revoke a partition."""

    def __init__(self, revoke: Callable[[], None]) -> None:
        super().__init__()
        self._revoke = revoke
        self.taken = asyncio.Event()

    async def take(self) -> None:
        await super().take()
        self._revoke()
        self.taken.set()


async def test_a_partition_that_is_revoked_while_it_waits_for_its_turn_counts_nothing_more(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, 0)])
    failures: list[BaseException] = []
    run = OneRun([record(0, CLAIM)])
    turns = RevokedMeanwhile(lambda: assignment.revoke({0}))
    shared = FoldSettings(
        Rules(), Quiet(), asyncio.get_running_loop().time, lambda *_: asyncio.sleep(0), turns=turns
    )
    former = PartitionStore(store_settings(settings, tmp_path / "former"), 0)
    assignment = Assignment(
        lambda _: PartitionFold(shared, former, lambda _: assignment.deliver(0, run)), failures.append
    )
    assignment.assign({0})
    async with asyncio.timeout(30):
        await turns.taken.wait()
    await assignment.close(10)
    owner = PartitionStore(store_settings(settings, tmp_path / "owner"), 0)
    await owner.open()

    assert failures == []
    assert not run.acked.is_set()
    assert owner.progress.next_offset == 0
    await owner.close()


async def test_a_copy_is_known_by_its_store_id_however_far_back_that_stands(
    facts: FactsLog, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facts.append([(CLAIM, 0)])
    store = await opened("a")
    await store.commit({"messages": {b"k": b"1"}}, moved(store, 1))
    await store.close()
    # All that it holds is the marker of the last transaction.
    monkeypatch.setattr("tally.tables.store.recovery.TAIL", 1)
    again = await opened("a")

    assert again.progress == store.progress
    assert again.recovered == 0
    await again.close()


async def test_a_partition_recounts_its_rows_when_the_rules_have_changed(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, 0)])
    store = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await fold_once(store, [record(0, CLAIM)], [])
    # As if other rules had counted: a row that the states do not come to.
    broken = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await broken.open()
    ((key, value),) = broken.items(COUNTERS)
    await broken.commit({COUNTERS: {key: value.replace(b"accepted", b"acceptee")}}, moved(broken, 1))
    await broken.close()
    await fold_once(PartitionStore(store_settings(settings, tmp_path / "a"), 0), [record(0, CLAIM)], [])
    after = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await after.open()

    assert dict(after.items(COUNTERS)) == {key: value}
    assert after.progress.rules == Rules().fingerprint
    await after.close()


async def test_a_transaction_of_many_batches_is_one(facts: FactsLog, settings: Settings) -> None:
    writer = ChangelogWriter(settings.kafka_client(), f"big-{uuid4().hex}", 0)
    await writer.start()
    topic = settings.names.changelog("messages")
    ends = await writer.commit({topic: {f"{n}".encode(): bytes(400_000) for n in range(8)}})

    assert ends == {topic: 8}
    await writer.close()
