"""Local copies on real Kafka: a damaged copy is rebuilt by itself; only brokers tell the age of a copy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from tally.schemas.rows import decode_row
from tally.schemas.topics import COUNTERS, DELETE_RETENTION_MS
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.rules import Rules
from tally.tables.store.errors import Rebuilt, StatesMissing
from tally.tables.store.local import LocalStore, Meta
from tally.tables.store.partition import PartitionStore
from tests.support.partition import NO_ORIGIN, record
from tests.support.stored_partition import CLAIM, Opener, fold_once, moved, store_settings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]


def copy_of(settings: Settings, folder: Path) -> Path:
    return folder / settings.names.app / "p0"


def watched(settings: Settings, folder: Path) -> tuple[PartitionStore, list[Rebuilt]]:
    told: list[Rebuilt] = []
    with_ear = structs.replace(store_settings(settings, folder), rebuilt=told.append)
    return PartitionStore(with_ear, 0), told


async def folded_once(settings: Settings, folder: Path, facts: FactsLog) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)] * 2)
    await fold_once(PartitionStore(store_settings(settings, folder), 0), [record(0, CLAIM)], [])


def _flip(path: Path) -> None:
    (table,) = [file for file in path.glob("*.sst") if file.stat().st_size]
    whole = bytearray(table.read_bytes())
    whole[10] ^= 1
    table.write_bytes(bytes(whole))


def _cut_current(path: Path) -> None:
    (path / "CURRENT").write_bytes(b"")


def _lose_a_table(path: Path) -> None:
    for table in path.glob("*.sst"):
        table.unlink()


@pytest.mark.parametrize("harm", [_flip, _cut_current, _lose_a_table])
async def test_a_worker_makes_a_damaged_copy_anew_by_itself_and_counts_on(
    facts: FactsLog, settings: Settings, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    await folded_once(settings, tmp_path, facts)
    harm(copy_of(settings, tmp_path))
    store, told = watched(settings, tmp_path)
    await fold_once(store, [record(1, CLAIM)], [])
    after, more = watched(settings, tmp_path)
    await after.open()
    ((_, row),) = after.items(COUNTERS)

    assert (told, more) == (["corrupt"], [])
    assert after.progress.next_offset == 2
    assert decode_row(row).counts["accepted"] == 1
    await after.close()


async def test_a_recount_that_does_not_see_all_states_commits_nothing_and_reads_the_changelogs_anew(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await folded_once(settings, tmp_path, facts)
    await _forget_rules(settings, tmp_path)
    lost = LocalStore(copy_of(settings, tmp_path))
    assert lost.meta is not None
    lost.write({"messages": dict.fromkeys([key for key, _ in lost.items("messages")])}, lost.meta)
    lost.close()
    store, told = watched(settings, tmp_path)
    await fold_once(store, [record(1, CLAIM)], [])
    after = PartitionStore(store_settings(settings, tmp_path), 0)
    await after.open()
    ((_, row),) = after.items(COUNTERS)

    assert told == ["states_missing"]
    assert decode_row(row).counts["accepted"] == 1
    assert after.progress.rules == Rules().fingerprint
    await after.close()


async def test_states_that_the_changelogs_do_not_hold_either_end_with_a_named_error(
    facts: FactsLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folded_once(settings, tmp_path, facts)
    # As a defect of ours would: more states are said to be there than were ever written.
    monkeypatch.setattr("tally.tables.store.known_states.KnownStates.after", lambda *_: {"messages": 2})
    await _forget_rules(settings, tmp_path)
    store, told = watched(settings, tmp_path)

    with pytest.raises(StatesMissing, match="messages: 1 of 2"):
        await fold_once(store, [record(1, CLAIM)], [])
    assert told == ["states_missing"]


async def test_a_copy_that_lacks_nothing_is_used_however_long_ago_it_was_written(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await folded_once(settings, tmp_path, facts)
    _touched(copy_of(settings, tmp_path), ago_ms=30 * DELETE_RETENTION_MS)
    store, told = watched(settings, tmp_path)
    await store.open()

    assert (told, store.recovered) == ([], 0)
    await store.close()


@pytest.mark.parametrize(
    ("ago_ms", "rebuilt"),
    [
        (0, []),
        (-3_600_000, []),
        (DELETE_RETENTION_MS // 2 - 3_600_000, []),
        (DELETE_RETENTION_MS // 2 + 3_600_000, ["slept"]),
    ],
)
async def test_a_copy_that_lacks_something_is_as_old_as_the_brokers_say(
    facts: FactsLog, opened: Opener, settings: Settings, tmp_path: Path, ago_ms: int, rebuilt: list[Rebuilt]
) -> None:
    await folded_once(settings, tmp_path, facts)
    _touched(copy_of(settings, tmp_path), ago_ms)
    elsewhere = await opened("elsewhere")
    await elsewhere.commit({"messages": {b"later": b"1"}}, moved(elsewhere, 2))
    await elsewhere.close()
    store, told = watched(settings, tmp_path)
    await store.open()

    assert told == rebuilt
    assert store.get_many("messages", [b"later"]) == [b"1"]
    # To ask for the brokers' time is a transaction of its own.
    assert store.progress.next_offset == elsewhere.progress.next_offset
    assert store.progress.seq == elsewhere.progress.seq + 1
    await store.close()


def _touched(path: Path, ago_ms: int) -> None:
    """Make a copy older by the brokers' time, as if it had been written before."""
    local = LocalStore(path)
    assert local.meta is not None
    local.write({}, Meta(local.meta.store_id, local.meta.offsets, local.meta.touched_ms - ago_ms))
    local.close()


async def _forget_rules(settings: Settings, folder: Path) -> None:
    """Leave progress as if other rules had counted the rows."""
    store = PartitionStore(store_settings(settings, folder), 0)
    await store.open()
    await store.commit({}, structs.replace(store.progress, rules="others"))
    await store.close()
