"""The laws of the fold: however facts are batched and ordered, rows are the sum of their states."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.fold.batch import find_culprit, fold_batch, fold_steps
from tally.agents.fold.failure import FamilyFailure
from tally.agents.fold.rows import corrections, recount
from tally.agents.fold.steps import FACTS_AT_ONCE, SMALL_AT_ONCE, SMALL_STEP_BYTES
from tally.schemas.call_facts import CALL, OPERATOR, ChannelSnapshot, ChannelsSeen
from tally.schemas.errors import UnknownFact
from tally.schemas.facts import CUSTOMER, MESSAGE, RECIPIENT, StatusSeen
from tally.schemas.keys import join_parts
from tally.schemas.records import Keyed, KeyedFact
from tally.schemas.rows import Row, decode_row, encode
from tally.schemas.tables import ALIASES
from tally.schemas.topics import COUNTERS
from tally.schemas.wamids import message_key
from tally.tables.families.family import ConnectedFamily
from tally.tables.rules import Rules
from tests.support.facts import CALL_FACTS, CUSTOMERS_SEEN, MEMBERS_SEEN, MESSAGE_FACTS, RESULTS, RESYNCS
from tests.support.partition import MemoryPartition, Record, record

RULES = Rules()
PBXS = st.builds(join_parts, st.sampled_from(["pbx1", "pbx/2"]))
NUMBERS = st.sampled_from(["106540352242922", "2"])
FACTS = st.lists(
    st.builds(
        KeyedFact,
        st.just(MESSAGE),
        st.builds(message_key, NUMBERS, st.sampled_from(["wamid.1", "wamid.2"])),
        MESSAGE_FACTS,
    )
    | st.builds(
        KeyedFact,
        st.just(RECIPIENT),
        st.builds(join_parts, st.just("t1"), st.just("c1"), st.sampled_from("89")),
        RESULTS,
    )
    | st.builds(KeyedFact, st.just(CUSTOMER), st.builds(join_parts, NUMBERS), CUSTOMERS_SEEN)
    | st.builds(KeyedFact, st.just(CALL), PBXS, CALL_FACTS | RESYNCS)
    | st.builds(KeyedFact, st.just(OPERATOR), PBXS, MEMBERS_SEEN | RESYNCS),
    min_size=1,
    max_size=20,
)


def folded(facts: list[Keyed], sizes: list[int]) -> MemoryPartition:
    partition = MemoryPartition()
    rest = list(facts)
    while rest:
        size = sizes.pop() if sizes else len(rest)
        partition.fold(rest[:size], RULES)
        rest = rest[size:]
    return partition


@given(FACTS, st.lists(st.integers(1, 5), max_size=20), st.integers())
def test_any_batching_order_and_repetition_give_the_same_states_and_counts(
    facts: list[Keyed], sizes: list[int], seed: int
) -> None:
    whole = folded(facts, [])
    shuffled = [*facts, *facts[::3]]
    random.Random(seed).shuffle(shuffled)
    other = folded(shuffled, sizes)

    assert whole.counts() == other.counts()
    assert {t: v for t, v in whole.tables.items() if t != COUNTERS and v} == {
        t: v for t, v in other.tables.items() if t != COUNTERS and v
    }


@given(FACTS, st.lists(st.integers(1, 5), max_size=20))
def test_a_recount_from_the_states_finds_nothing_to_correct(facts: list[Keyed], sizes: list[int]) -> None:
    partition = folded(facts, sizes)

    assert partition.recounted(RULES) == partition.counts()


@given(FACTS, st.lists(st.integers(1, 5), max_size=20))
def test_a_recount_narrows_spans_to_those_of_what_is_counted_and_then_finds_nothing_more(
    facts: list[Keyed], sizes: list[int]
) -> None:
    partition = folded(facts, sizes)
    counted = recount(partition.states(), RULES, partition.next_offset).rows
    wide = {key: decode_row(value) for key, value in partition.rows()}
    partition.apply({COUNTERS: corrections(dict(partition.rows()), counted, partition.next_offset)})
    rows = {key: decode_row(value) for key, value in partition.rows()}

    for key, row in counted.items():
        assert (rows[key].first_ms, rows[key].last_ms) == (row.first_ms, row.last_ms)
        assert wide[key].first_ms <= row.first_ms <= row.last_ms <= wide[key].last_ms
    assert corrections(dict(partition.rows()), counted, partition.next_offset) == {}


def test_a_row_that_lost_everything_is_at_its_first_time_again() -> None:
    held = encode(Row(5, 1_000, 9_000, [], {"sent": 1}))

    (value,) = corrections({b"t/c": held}, {}, 7).values()

    assert value is not None
    assert decode_row(value) == Row(7, 1_000, 1_000, [], {})
    assert corrections({b"t/c": value}, {}, 8) == {}


@given(FACTS, st.lists(st.integers(1, 5), max_size=20))
def test_after_a_change_of_rules_a_recount_gives_what_the_new_rules_would_have(
    facts: list[Keyed], sizes: list[int]
) -> None:
    changed = Rules(reply_window_seconds=2)
    partition = folded(facts, sizes)
    counted = recount(partition.states(), changed, partition.next_offset).rows
    partition.apply({COUNTERS: corrections(dict(partition.rows()), counted, partition.next_offset)})
    afresh = MemoryPartition()
    afresh.fold(facts, changed)

    assert partition.counts() == afresh.counts()


@given(FACTS)
def test_every_alias_names_the_state_that_lists_it(facts: list[Keyed]) -> None:
    partition = folded(facts, [])
    listed = {
        family.code + member: key
        for family, key, value in partition.states()
        if isinstance(family, ConnectedFamily)
        for member in family.members(key, family.decode(value))
    }

    assert listed == partition.tables[ALIASES]
    assert all(min(m for m, k in listed.items() if k == key)[1:] == key for key in listed.values())


def test_the_fact_that_makes_family_code_raise_is_found_among_good_ones() -> None:
    records = [Record(i, b"1/a", b"m1" + bytes(6) + b"\x92\x03\x01") for i in range(9)]
    records[6] = Record(6, b"1/a", b"m1" + bytes(6) + b"not a fact")

    with pytest.raises(FamilyFailure, match=r"^(Decode|Validation)Error at "):
        fold_batch(records, MemoryPartition(), RULES)
    assert find_culprit(records, MemoryPartition(), RULES) == 6


@pytest.mark.parametrize("value", [b"", b"m9" + bytes(6), b"z1" + bytes(6)])
def test_a_fact_of_unknown_family_or_version_stops_the_fold(value: bytes) -> None:
    with pytest.raises(UnknownFact):
        fold_batch([Record(0, b"1/a", value)], MemoryPartition(), RULES)


def test_a_fact_that_changes_nothing_writes_nothing() -> None:
    partition = MemoryPartition()
    first = Record(0, b"1/a", b"m1" + bytes(6) + b"\x92\x03\x01")
    partition.apply(fold_batch([first], partition, RULES).writes)

    assert not any(fold_batch([first._replace(offset=1)], partition, RULES).writes.values())


def test_a_row_that_would_outgrow_a_record_quarantines_the_fact_and_not_on_the_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tally.agents.fold.batch.STATE_LIMIT_BYTES", 3_000)
    partition = MemoryPartition()
    key = join_parts("pbx1")

    def joined(number: int) -> list[Keyed]:
        unique, variables = f"u{number}", {"campaign": "c", "contact": str(number), "tenant_header": "t"}
        snapshot = ChannelSnapshot(unique, unique, "PJSIP/x", 6, variables)  # type: ignore[arg-type]
        names = [f"queue-{number}-{nth:020d}" for nth in range(8)]
        return [KeyedFact(CALL, key, ChannelsSeen(5, "join", [snapshot], name)) for name in names]

    partition.fold(joined(1), RULES)

    def fill() -> None:
        for number in range(2, 20):
            partition.fold(joined(number), RULES)

    with pytest.raises(FamilyFailure):
        fill()

    partition.fold(
        [KeyedFact(CALL, key, ChannelsSeen(6, "hangup", [ChannelSnapshot("u1", "u1", "PJSIP/x", 6)]))], RULES
    )


def test_states_that_stay_as_they_are_are_steps_as_well() -> None:
    """Redelivered facts change nothing, and are decoded, merged and compared all the same."""
    partition = MemoryPartition()
    facts: list[Keyed] = [
        KeyedFact(MESSAGE, message_key("n1", f"wamid.{nth}"), StatusSeen(status, 1_795_000_000))
        for nth in range(500)
        for status in ("sent", "delivered", "read", "failed")
    ]
    partition.fold(facts, RULES)
    states = partition.tables["messages"].values()
    again = [record(partition.next_offset + nth, keyed) for nth, keyed in enumerate(facts)]
    steps = sum(1 for _ in fold_steps(again, partition, RULES))
    always = len(facts) // FACTS_AT_ONCE + len(states) // SMALL_AT_ONCE + 1

    assert steps >= always + sum(map(len, states)) // SMALL_STEP_BYTES - 1 > always
