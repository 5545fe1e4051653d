"""Laws of one partition's fold: a batch too large for one transaction is split."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from msgspec import structs

from tally.agents.fold.failure import FamilyFailure
from tally.agents.fold.opening import count_by_present_rules, portions
from tally.agents.fold.partition import PartitionFold
from tally.agents.fold.ports import CYCLE_SECONDS, FoldPorts, cycle_seconds
from tally.agents.fold.steps import TransactionLimits
from tally.schemas.call_facts import CALL, ChannelSnapshot, ChannelsSeen, Resynced, Role
from tally.schemas.facts import CUSTOMER, MESSAGE, Claim, Claimed, CustomerSeen, StatusSeen
from tally.schemas.keys import Template, join_parts
from tally.schemas.missing import NO_ROW
from tally.schemas.records import Keyed, KeyedFact
from tally.schemas.rows import Progress, decode_row, encode
from tally.schemas.tables import CELLS, OPEN
from tally.schemas.topics import COUNTERS
from tally.schemas.waiting import Caller, encode_since, is_waiting
from tally.schemas.wamids import message_key
from tally.tables.families.registry import FAMILIES
from tally.tables.kafka.delivered import FactRecord
from tally.tables.rules import Rules
from tally.tables.store.interface import Entries, Writes
from tally.tables.store.partition import PartitionStore
from tests.support.partition import MemoryPartition, Record, record
from tests.support.stored_partition import OneRun, Quiet

pytestmark = pytest.mark.asyncio

PBX = join_parts("pbx1")
AT_US = 1_795_000_000_000_000
CALLS = 2_500
FEW = TransactionLimits(write_bytes=20_000, resynced_subjects=100)


class MemoryStore(MemoryPartition):
    """A partition store without servers; remembers what each transaction held."""

    partition = 0
    recovered = 0
    facts = "facts-g1"

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress(0, "store", Rules().fingerprint)
        self.transactions: list[tuple[int, int]] = []
        """Next offset, and how many states there were."""
        self.committed: Callable[[], object] = lambda: None

    def items(self, table: str, prefix: bytes = b"", begin: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Iterate as the store does: without a prefix, over rows alone."""
        entries = super().items(table, prefix, begin)
        return entries if prefix else (one for one in entries if not one[0].startswith(NO_ROW))

    async def open(self, told: object) -> None: ...

    async def close(self) -> None: ...

    async def commit(self, writes: Writes, progress: Progress) -> None:
        self.apply(writes)
        held = {family.table: len(self.tables[family.table]) for family in FAMILIES}
        self.progress = structs.replace(progress, states=held)
        states = sum(len(entries) for table, entries in writes.items() if table in ("calls", "customers"))
        self.transactions.append((progress.next_offset, states))
        await asyncio.sleep(0)
        self.committed()


async def folded(store: MemoryStore, facts: list[Keyed], *more: Record) -> None:
    """Let a process fold facts, until all are counted or it lets go of the partition."""

    async def keep(_: int, facts: Sequence[FactRecord], error: str) -> None: ...

    ports = FoldPorts(Rules(), Quiet(), asyncio.get_running_loop().time, keep)
    records = [record(nth, keyed) for nth, keyed in enumerate(facts)]
    run = OneRun([one for one in (*records, *more) if one.offset >= store.progress.next_offset])
    fold = PartitionFold(ports, cast(PartitionStore, store), lambda _: fold.inbox.put(cast(Any, run)))
    last = len(facts) + len(more)
    before = store.committed
    store.committed = lambda: fold.revoke() if store.progress.next_offset == last else before()
    async with asyncio.timeout(60):
        await fold.run()
    store.committed = before


def seen(nth: int, kind: Any = "seen") -> Keyed:
    snapshot = ChannelSnapshot(
        f"pbx-{nth}", f"pbx-{nth}", "PJSIP/x", 6, {"campaign": "c", "contact": str(nth)}
    )
    return KeyedFact(CALL, PBX, ChannelsSeen(AT_US + nth, kind, [snapshot]))


def claimed(nth: int) -> Keyed:
    claim = Claim(1_795_000_000_000, "t", f"c{nth}", "8", "1", Template("promo", "nl"))
    return KeyedFact(MESSAGE, message_key("n1", f"wamid.{nth}"), Claimed(claim))


def resynced(nth: int) -> Keyed:
    return KeyedFact(CALL, PBX, Resynced(AT_US + nth))


def tables(store: MemoryPartition) -> dict[str, dict[bytes, bytes]]:
    """Return what is held, apart from when rows last changed."""
    counted = {"rows": {key: str(counts).encode() for key, counts in store.counts().items()}}
    return counted | {table: held for table, held in store.tables.items() if table != COUNTERS and held}


def at_once(facts: list[Keyed]) -> MemoryPartition:
    partition = MemoryPartition()
    partition.fold(facts, Rules())
    return partition


async def test_progress_says_how_many_messages_wait_and_how_many_several_tenants_claim() -> None:
    message = message_key("n1", "wamid.0")
    foreign = KeyedFact(MESSAGE, message, Claimed(Claim(1_795_000_000_001, "t2", "c", "8", "1")))
    store = MemoryStore()
    await folded(store, [KeyedFact(MESSAGE, message, StatusSeen("sent", 5)), claimed(1)])
    assert (store.progress.waiting, store.progress.contested) == (1, 0)

    await folded(store, [claimed(0), claimed(1), foreign, claimed(0), foreign])
    assert (store.progress.waiting, store.progress.contested) == (0, 1)


async def test_a_resync_of_many_calls_comes_in_portions_and_counts_as_one_would() -> None:
    facts = [*(seen(nth) for nth in range(CALLS)), resynced(CALLS * 2), seen(7, "hangup")]
    store = MemoryStore()
    await folded(store, facts[:CALLS])
    await folded(store, facts)

    assert tables(store) == tables(at_once(facts))
    assert not store.tables[OPEN]
    resyncing = [states for offset, states in store.transactions if offset == CALLS]
    assert resyncing == [CALLS, 1_000, 1_000, 500]


async def test_a_resync_that_ends_few_of_those_that_are_open_ends_as_well() -> None:
    facts = [*(seen(nth) for nth in range(CALLS)), resynced(10)]
    store = MemoryStore()
    await folded(store, facts[:CALLS])
    await folded(store, facts)

    assert tables(store) == tables(at_once(facts))
    assert len(store.tables[OPEN]) == CALLS - 10


async def test_a_new_owner_begins_a_resync_again_and_counts_the_same() -> None:
    facts = [*(seen(nth) for nth in range(CALLS)), resynced(CALLS * 2)]
    store = MemoryStore()
    await folded(store, facts[:CALLS])
    portions = iter(range(100))

    class Killed(Exception): ...

    def killed() -> None:
        if next(portions) == 1:
            raise Killed

    store.committed = killed
    with pytest.raises(Killed):
        await folded(store, facts)
    assert store.progress.next_offset == CALLS
    store.committed = lambda: None
    await folded(store, facts)

    assert tables(store) == tables(at_once(facts))


async def test_a_batch_whose_states_are_too_many_bytes_comes_in_several_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tally.agents.fold.transactions.OF_A_TRANSACTION", FEW)
    key = join_parts("n1")
    facts: list[Keyed] = [
        KeyedFact(CUSTOMER, key, CustomerSeen([b"p%d" % nth, b"u" + b"x" * 1_000 + b"%d" % nth]))
        for nth in range(200)
    ]
    store = MemoryStore()
    await folded(store, facts)

    assert tables(store) == tables(at_once(facts))
    assert len(store.transactions) >= 10
    assert all(states <= 2 * 64 for _, states in store.transactions)


async def test_one_subject_is_never_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally.agents.fold.transactions.OF_A_TRANSACTION", TransactionLimits(10, 1))
    facts: list[Keyed] = [
        KeyedFact(CUSTOMER, join_parts("n1"), CustomerSeen([b"p%d" % nth, b"u%d" % nth])) for nth in range(20)
    ]
    store = MemoryStore()
    await folded(store, facts)

    assert tables(store) == tables(at_once(facts))
    assert [offset for offset, _ in store.transactions] == list(range(1, 21))


async def test_what_comes_before_a_fact_that_fails_is_committed_before_it_fails() -> None:
    facts: list[Keyed] = [
        KeyedFact(MESSAGE, message_key("n1", f"wamid.{nth}"), StatusSeen("sent", 1_795_000_000))
        for nth in range(100)
    ]
    poison = Record(100, b"n1/x", b"m1" + bytes(6) + b"not a fact")
    store = MemoryStore()
    with pytest.raises(FamilyFailure):
        await folded(store, facts, poison, record(101, facts[0]))

    assert store.progress.next_offset == 100
    assert store.progress.failure is not None
    assert store.progress.failure.offset == 100
    assert len(store.tables["messages"]) == 100


async def test_a_partition_that_is_revoked_while_it_computes_commits_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tally.agents.fold.transactions.TURN_SECONDS", 0.0)
    monkeypatch.setattr("tally.agents.compute_gate.TURN_SECONDS", 0.0)
    facts = [seen(nth) for nth in range(200)]
    store = MemoryStore()

    async def keep(_: int, facts: Sequence[FactRecord], error: str) -> None: ...

    ports = FoldPorts(Rules(), Quiet(), asyncio.get_running_loop().time, keep)
    run = OneRun([record(nth, keyed) for nth, keyed in enumerate(facts)])
    fold = PartitionFold(ports, cast(PartitionStore, store), lambda _: fold.inbox.put(cast(Any, run)))
    task = asyncio.ensure_future(fold.run())
    async with asyncio.timeout(20):
        while run.records:  # it lets go of the run once it computes
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        fold.revoke()
        await task

    assert not store.transactions
    assert not run.acked.is_set()


async def test_a_batch_begins_no_sooner_than_a_cycle_after_the_one_before() -> None:
    store, clock = MemoryStore(), asyncio.get_running_loop().time
    committed_s: list[float] = []

    async def keep(_: int, facts: Sequence[FactRecord], error: str) -> None: ...

    ports = FoldPorts(Rules(), Quiet(), clock, keep, cycle_seconds=lambda: 0.05)
    runs = [OneRun([record(nth, claimed(nth))]) for nth in range(3)]
    fold = PartitionFold(ports, cast(PartitionStore, store), lambda _: fold.inbox.put(cast(Any, runs.pop(0))))

    def committed() -> None:
        committed_s.append(clock())
        if runs:
            fold.inbox.put(cast(Any, runs.pop(0)))
        else:
            fold.revoke()

    store.committed = committed
    async with asyncio.timeout(20):
        await fold.run()

    assert len(committed_s) == 3
    # A batch of one fact takes less than a millisecond; its commit is the end of it.
    assert committed_s[2] - committed_s[0] > 1.5 * 0.05


async def test_a_cycle_is_longer_the_more_partitions_are_open() -> None:
    assert cycle_seconds(0) == cycle_seconds(1) == CYCLE_SECONDS
    assert cycle_seconds(8) == 8 * CYCLE_SECONDS


@pytest.mark.parametrize("most_bytes", [1, 25, 100, 10_000])
async def test_corrected_rows_come_in_portions_that_hold_each_row_once(most_bytes: int) -> None:
    rows: Entries = {b"%02d" % nth: b"x" * (nth % 30) or None for nth in range(100)}
    writes = {COUNTERS: rows, CELLS: dict(list(rows.items())[:7])}
    parts = portions(writes, most_bytes)

    assert entries_of(parts) == entries_of([writes])
    for part in parts:
        sizes = [len(key) + len(value or b"") for _, key, value in entries_of([part])]
        assert sum(sizes) <= most_bytes or len(sizes) == 1
        assert sizes


def entries_of(parts: list[Writes]) -> list[tuple[str, bytes, bytes | None]]:
    return [
        (table, key, value) for part in parts for table, them in part.items() for key, value in them.items()
    ]


async def test_nothing_to_correct_is_one_portion_of_nothing() -> None:
    assert portions({}, 10) == [{}]


async def test_a_recount_that_was_cut_off_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally.agents.fold.opening.OF_A_TRANSACTION", TransactionLimits(200, 1))
    store, right = MemoryStore(), MemoryStore()
    facts = [claimed(nth) for nth in range(20)]
    await folded(right, facts)
    await folded(store, facts)
    rows = store.tables[COUNTERS]
    store.tables[COUNTERS] = {
        key: encode(structs.replace(decode_row(row), counts={"accepted": 9})) for key, row in rows.items()
    }
    store.progress = structs.replace(store.progress, rules="others")
    commits = iter(range(100))

    class Killed(Exception): ...

    def killed() -> None:
        if next(commits) == 2:
            raise Killed

    store.committed = killed
    with pytest.raises(Killed):
        await count_by_present_rules(cast(PartitionStore, store), Rules())
    assert store.counts() != right.counts()
    assert store.progress.rules not in ("others", Rules().fingerprint)

    store.committed = lambda: None
    await count_by_present_rules(cast(PartitionStore, store), Rules())
    assert store.counts() == right.counts()
    assert store.progress.rules == Rules().fingerprint


async def test_a_recount_lists_again_who_waits() -> None:
    store = MemoryStore()
    who: dict[Role, str] = {"tenant": "t1"}
    channels = [ChannelSnapshot(f"c{nth}", f"c{nth}", "PJSIP/1-01", 6, who) for nth in range(3)]
    joins = [ChannelsSeen(AT_US, "join", [one], "sales") for one in channels]
    await folded(store, [KeyedFact(CALL, PBX, fact) for fact in joins])
    right = dict(store.tables[COUNTERS])
    first, second, _ = sorted(key for key in right if is_waiting(key))
    stranger = Caller("t1", "pbx1", "sales", "nobody").encode()
    del store.tables[COUNTERS][first]
    store.tables[COUNTERS] |= {second: encode_since(1), stranger: encode_since(1)}
    store.progress = structs.replace(store.progress, rules="others")

    await count_by_present_rules(cast(PartitionStore, store), Rules())
    assert store.tables[COUNTERS] == right
