"""What is missing is a join: order and repetition of notices change nothing, and counts only grow."""

from collections.abc import Iterable
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.missing import (
    Entry,
    Known,
    PartitionRead,
    Subjects,
    Value,
    decode_missing,
    entries_of,
    is_missing,
    joined,
    noticed,
    partition_key,
    subjects_key,
    union,
)
from tally.schemas.notices import (
    CODE_FAILURE,
    LOST_RECORDS,
    REPLACED_TOPIC,
    Acknowledged,
    Notice,
    Reading,
    decode_notice,
)
from tally.schemas.rows import PROGRESS_KEY, encode

PLACE = ("send-results", "3")
KEY = partition_key("send-results", 3)

ranges = st.tuples(st.integers(0, 30), st.integers(0, 30))
readings = st.builds(
    Reading,
    st.just("send-results"),
    st.just(3),
    st.sampled_from(["a", "b"]),
    st.integers(1, 9),
    st.none() | st.integers(0, 30),
    st.none() | ranges,
)
acknowledgements = st.builds(
    Acknowledged,
    st.sampled_from([LOST_RECORDS, REPLACED_TOPIC]),
    st.just(PLACE),
    st.integers(0, 40),
    st.sampled_from(["", "why"]),
)


def known(notices: list[Notice]) -> Value:
    return reduce(joined, (noticed(notice)[1] for notice in notices))


def entries(*notices: Notice) -> dict[str, int]:
    return {entry.kind: entry.count for entry in entries_of(KEY, known(list(notices)))}


def offsets(some: Iterable[tuple[int, int]]) -> set[int]:
    return {offset for start, to in some for offset in range(start, to)}


def reading(begun_at: int | None = None, lost: tuple[int, int] | None = None, topic_id: str = "a") -> Reading:
    return Reading("send-results", 3, topic_id, 1 if topic_id == "a" else 2, begun_at, lost)


@given(st.lists(readings | acknowledgements, min_size=1, max_size=8), st.randoms())
def test_any_order_and_any_repetition_come_to_the_same_bytes(notices: list[Notice], random: object) -> None:
    again = [*notices, *notices[:3]]
    random.shuffle(again)  # type: ignore[attr-defined]
    assert encode(known(again)) == encode(known(notices))


@given(st.lists(readings, min_size=2, max_size=8))
def test_what_is_missing_only_grows_with_time(notices: list[Reading]) -> None:
    notices.sort(key=lambda notice: notice.at_ms)
    counts = [entries(*notices[:seen]) for seen in range(1, len(notices) + 1)]
    for before, after in pairwise(counts):
        assert all(after[kind] >= count for kind, count in before.items())


@given(st.lists(ranges, max_size=8))
def test_a_union_has_each_offset_once(some: list[tuple[int, int]]) -> None:
    found = union(some)
    assert {n for start, to in found for n in range(start, to)} == {
        n for start, to in some for n in range(start, to)
    }
    assert all(before[1] < after[0] for before, after in pairwise(found))


@pytest.mark.parametrize(
    ("notices", "counts"),
    [
        ([reading(0)], {}),
        ([reading(500)], {}),
        ([reading(500, lost=(500, 510))], {LOST_RECORDS: 10}),
        ([reading(lost=(4, 10)), reading(lost=(8, 12))], {LOST_RECORDS: 8}),
        # A group whose offsets are gone begins anew: what lies between may have been read or not.
        ([reading(0), reading(40)], {LOST_RECORDS: 40}),
        ([reading(40), reading(40)], {}),
        ([reading(40), reading(90), reading(lost=(80, 100))], {LOST_RECORDS: 60}),
        ([reading(0), reading(0, topic_id="b")], {REPLACED_TOPIC: 1}),
        # Of a topic that took another one's name nobody has read what is gone before it was begun.
        ([reading(7), reading(5, topic_id="b")], {REPLACED_TOPIC: 1, LOST_RECORDS: 5}),
    ],
)
def test_what_was_never_read_is_counted_once(notices: list[Notice], counts: dict[str, int]) -> None:
    assert entries(*notices) == counts


def test_of_what_is_acknowledged_the_largest_number_holds_and_hides_nothing_new() -> None:
    lost = reading(lost=(0, 10))
    value = known(
        [lost, Acknowledged(LOST_RECORDS, PLACE, 10, "a disk"), Acknowledged(LOST_RECORDS, PLACE, 4, "z")]
    )
    (entry,) = entries_of(KEY, value)
    assert (entry.count, entry.acknowledged, entry.known.note) == (10, 10, "a disk")
    (entry,) = entries_of(KEY, joined(value, known([reading(lost=(20, 25))])))
    assert (entry.count, entry.acknowledged) == (15, 10)


def test_what_is_acknowledged_before_it_is_known_is_no_more_than_there_is() -> None:
    acknowledged = Acknowledged(CODE_FAILURE, ("t/1", "c"), 5, "known")
    key, value = noticed(acknowledged)
    assert key == subjects_key(CODE_FAILURE, ("t/1", "c"))
    assert entries_of(key, value) == []
    (entry,) = entries_of(key, joined(value, Subjects(2, 8)))
    assert (entry.count, entry.acknowledged, entry.scope, entry.since_ms) == (2, 2, ("t/1", "c"), 8)
    assert entry.name == "code_failure/t%2F1/c"


def test_keys_are_told_from_progress_and_rows_and_values_come_back() -> None:
    assert not is_missing(PROGRESS_KEY)
    assert not is_missing(b"t1/c1")
    for notice in (reading(3, (3, 4)), Acknowledged(CODE_FAILURE, ("t", "c"), 1, "n")):
        key, value = noticed(notice)
        assert is_missing(key)
        assert decode_missing(key, encode(value)) == value
        assert decode_notice(encode(notice)) == notice


def test_only_what_nobody_can_attribute_concerns_all() -> None:
    def concerns(kind: str, scope: tuple[str, str]) -> bool:
        return Entry(kind, scope, 1, 1, Known()).concerns_all

    assert concerns(LOST_RECORDS, PLACE)
    assert concerns(REPLACED_TOPIC, PLACE)
    assert concerns(CODE_FAILURE, ("", ""))
    assert not concerns(CODE_FAILURE, ("t1", ""))
    assert not concerns(CODE_FAILURE, ("t1", "c1"))
    assert PartitionRead().since_ms == 0
