"""Folding one partition on real Kafka: facts that our code cannot take, and rows that are recounted."""

from pathlib import Path

import pytest

from tally.agents.fold.failure import FamilyFailure
from tally.agents.fold.missing import is_marked
from tally.schemas.facts import CUSTOMER, MESSAGE, Claim, CustomerSeen, Send, StatusSeen
from tally.schemas.keys import join_parts
from tally.schemas.notices import CODE_FAILURE, TOO_LARGE
from tally.schemas.records import KeyedFact
from tally.schemas.rows import decode_row
from tally.schemas.tables import INCOMPLETE
from tally.schemas.topics import COUNTERS
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.rules import Rules
from tally.tables.store.partition import PartitionStore
from tests.support.partition import NO_ORIGIN, record
from tests.support.stored_partition import CLAIM, KEY, fold_once, moved, store_settings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]


async def test_a_fact_that_our_code_cannot_take_is_quarantined_at_the_third_life_and_its_neighbours_count(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    good = [CLAIM, KeyedFact(MESSAGE, KEY, StatusSeen("read", 1_795_000_009))]
    await facts.append([(fact, NO_ORIGIN) for fact in (good[0], good[0], good[1])])
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
    assert (after.progress.next_offset, after.progress.quarantined) == (3, 1)
    ((subject, mark),) = after.items(INCOMPLETE)
    assert (subject, is_marked(mark, CODE_FAILURE)) == (b"m" + KEY, True)
    assert decode_row(row).counts["read"] == 1
    await after.close()


async def test_a_subject_that_outgrows_a_record_is_given_up_on_without_an_exit_and_others_count(
    facts: FactsLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tally.agents.fold.batch.STATE_LIMIT_BYTES", 600)
    number = join_parts("106540352242922")
    sends = [
        KeyedFact(
            CUSTOMER,
            number,
            CustomerSeen([b"w%12d" % n, b"p5"], Send(b"%12d" % n, Claim(n, "t", "c", str(n)))),
        )
        for n in range(40)
    ]
    other = KeyedFact(
        CUSTOMER, number, CustomerSeen([b"wother", b"p1"], Send(b"other", Claim(1, "t", "c", "x")))
    )
    together = [*sends[:20], CLAIM, *sends[20:], other]
    await facts.append([(fact, NO_ORIGIN) for fact in together])
    kept: list[tuple[int, str]] = []
    store = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await fold_once(store, [record(n, fact) for n, fact in enumerate(together)], kept)
    after = PartitionStore(store_settings(settings, tmp_path / "a"), 0)
    await after.open()
    rows = {key: decode_row(value).counts for key, value in after.items(COUNTERS)}

    assert after.progress.next_offset == len(together)
    assert after.progress.quarantined == len({offset for offset, _ in kept}) > 20
    assert all("StateTooLarge" in error for _, error in kept)
    ((subject, mark),) = after.items(INCOMPLETE)
    assert (subject, is_marked(mark, TOO_LARGE)) == (b"c" + number + b"/p5", True)
    assert rows[b"t/c"]["contacts_accepted"] == 2
    assert rows[b"t/c/promo/nl"]["accepted"] == 1
    await after.close()


async def test_a_partition_recounts_its_rows_when_the_rules_have_changed(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(CLAIM, NO_ORIGIN)])
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
