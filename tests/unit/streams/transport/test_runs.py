"""Laws of runs: which are delivered, and which offsets may be committed."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tally.schemas.starts import Start
from tally.streams.transport.config import RunLimits
from tally.streams.transport.runs import PartitionRuns, Run, sizes_of

LIMITS = RunLimits(max_records=3, max_bytes=400, max_outstanding=2, max_waiting=2)


@dataclass(frozen=True)
class Record:
    offset: int
    value: bytes | None = b"0123456789"
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def records(first: int, last: int) -> list[Record]:
    return [Record(offset) for offset in range(first, last + 1)]


def partition(limits: RunLimits = LIMITS) -> PartitionRuns:
    return PartitionRuns("facts", 0, limits, lambda: None)


def handed_out(runs: PartitionRuns) -> list[Run]:
    found = []
    while (run := runs.next_run()) is not None:
        found.append(run)
    return found


def offsets(run: Run) -> list[int]:
    return [record.offset for record in run.records]


steps = st.lists(
    st.one_of(
        # A fetch: offsets go on after a hole; markers may follow.
        st.tuples(
            st.just("fetch"), st.lists(st.integers(1, 3), max_size=8), st.integers(0, 2), st.integers(0, 420)
        ),
        st.tuples(st.just("deliver")),
        st.tuples(st.just("ack"), st.integers(0, 5)),
        st.tuples(st.just("commit")),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(steps)
def test_nothing_is_skipped_repeated_or_committed_before_it_is_done(script: list[tuple[Any, ...]]) -> None:
    runs = partition()
    position, began = 0, False
    read: list[int] = []
    delivered: list[int] = []
    unacked: list[Run] = []
    for step in script:
        if step[0] == "fetch":
            _, gaps, markers, size = step
            fetched = []
            for gap in gaps:
                fetched.append(Record(position + gap - 1, b"0" * size))
                position += gap
            position += markers
            read += [record.offset for record in fetched]
            runs.received(fetched, position)
            began = True
        elif step[0] == "deliver" and (run := runs.next_run()) is not None:
            assert len(run.records) <= LIMITS.max_records
            size = run.size_bytes
            assert size == sum(sizes_of(run.records))
            assert size <= LIMITS.max_bytes or len(run.records) == 1
            delivered += offsets(run)
            unacked.append(run)
        elif step[0] == "ack" and unacked:
            unacked.pop(step[1] % len(unacked)).ack()
        assert len(unacked) == runs.outstanding <= LIMITS.max_outstanding
        assert delivered == read[: len(delivered)]
        point = runs.commit_point()
        waiting = [offset for run in unacked for offset in offsets(run)] + read[len(delivered) :]
        assert point is None or all(point <= offset for offset in waiting)
        assert waiting or not began or point == position


def test_what_is_done_later_than_its_successor_holds_the_commit_back() -> None:
    runs = partition()
    runs.received(records(10, 14), 15)
    first, second = handed_out(runs)

    second.ack()
    assert runs.commit_point() is None

    first.ack()
    assert runs.commit_point() == 15


def test_the_commit_reaches_the_end_behind_transaction_markers() -> None:
    runs = partition()
    runs.received(records(0, 1), 3)
    (run,) = handed_out(runs)
    assert runs.commit_point() is None

    run.ack()
    assert runs.commit_point() == 3

    runs.received([], 7)
    assert runs.commit_point() == 7


def test_records_that_wait_are_never_committed() -> None:
    runs = partition()
    runs.received(records(0, 8), 9)
    for run in handed_out(runs):
        run.ack()

    assert runs.commit_point() == 6


def test_acknowledging_makes_room_for_the_next_run() -> None:
    runs = partition()
    runs.received(records(0, 8), 9)
    first, _ = handed_out(runs)
    assert runs.next_run() is None

    first.ack()

    assert [offsets(run) for run in handed_out(runs)] == [[6, 7, 8]]


def test_an_acknowledgement_counts_once() -> None:
    runs = partition()
    runs.received(records(0, 5), 6)
    first, second = handed_out(runs)

    first.ack()
    first.ack()

    assert runs.outstanding == 1
    assert (first.is_done, second.is_done) == (True, False)


def test_what_several_fetches_brought_makes_one_run() -> None:
    runs = partition()
    runs.received(records(0, 0), 1)
    runs.received(records(1, 1), 2)

    assert [offsets(run) for run in handed_out(runs)] == [[0, 1]]


def test_a_record_beyond_the_size_of_a_run_is_a_run_of_its_own() -> None:
    runs = partition()
    runs.received([Record(0), Record(1, b"0" * 5_000), Record(2)], 3)

    assert [offsets(run) for run in handed_out(runs)] == [[0], [1]]


def test_a_partition_is_full_when_as_many_runs_wait_as_may() -> None:
    runs = partition()
    runs.received(records(0, 4), 5)
    assert not runs.is_full
    assert runs.is_full_with(1)

    runs.received(records(5, 5), 6)
    full = [runs.is_full]
    runs.next_run()

    assert [*full, runs.is_full] == [True, False]


def test_how_much_may_wait_does_not_depend_on_how_much_may_be_under_way() -> None:
    runs = partition(RunLimits(max_records=3, max_outstanding=9))
    runs.received(records(0, 1), 2)
    assert not runs.is_full

    runs.received(records(2, 2), 3)
    assert runs.is_full


def test_few_large_records_fill_a_partition_too() -> None:
    runs = partition()
    runs.received([Record(0, b"0" * 500), Record(1, b"0" * 300)], 2)

    assert runs.is_full


def test_a_key_and_headers_count_as_what_they_take() -> None:
    (size,) = sizes_of([Record(0, b"123", b"45", (("name", b"67"),))])

    assert size == 100 + 3 + 2 + 100 + 4 + 2


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=10),
    st.integers(0, 3),
    st.randoms(),
)
def test_a_start_comes_between_the_records_before_and_behind_it_and_is_waited_for(
    fetches: list[tuple[int, bool]], at_once: int, random: Any
) -> None:
    runs = partition(RunLimits(max_records=3, max_outstanding=at_once + 1))
    expected: list[object] = []
    offset = 0
    for count, has_start in fetches:
        start = Start(f"id-{offset}", offset, 1) if has_start else None
        expected += [start] if start else []
        runs.received(records(offset, offset + count - 1), offset + count, None, start)
        expected += range(offset, offset + count)
        offset += count
    seen: list[object] = []
    under_way: list[Run] = []
    while (found := handed_out(runs)) or under_way:
        for run in found:
            seen += [run.start] if run.start else offsets(run)
        under_way += found
        first_open = min((run.next_offset for run in under_way if not run.is_done), default=None)
        point = runs.commit_point()
        assert point is None or first_open is None or point <= first_open
        done = random.choice(under_way)
        done.ack()
        under_way.remove(done)
    assert seen == expected
    assert runs.commit_point() == offset
    starts = [one for one in expected if isinstance(one, Start)]
    assert runs.topic_id == (starts[-1].topic_id if starts else "")
