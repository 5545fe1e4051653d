"""Laws of all partitions that a consumer has: rebalances, seeks, turns, commits and bounds."""

import pytest
from faust.types import TP

from tally.schemas.starts import Start
from tally.streams.transport.assignment import Assignment, NotOwned
from tally.streams.transport.config import RunLimits
from tally.streams.transport.fetching import Fetched, Piece
from tally.streams.transport.runs import Committed
from tests.unit.streams.transport.test_runs import LIMITS, Record, offsets, records

ONE, OTHER = TP("facts", 0), TP("facts", 1)


def assigned(*partitions: TP, generation: int = 1) -> Assignment:
    assignment = Assignment(LIMITS, lambda: None)
    assignment.begin(set(partitions), generation)
    return assignment


def fetched(tp: TP, first: int, last: int, *, generation: int = 1, epoch: int = 0) -> Fetched:
    return Fetched(generation, {tp: Piece(records(first, last), last + 1, epoch, paused=False)})


def delivered(assignment: Assignment) -> list[tuple[int, list[int]]]:
    return [(run.partition, offsets(run)) for run in assignment.deliverable(ONE.topic)]


def test_what_was_fetched_before_a_rebalance_is_not_delivered_after_it() -> None:
    assignment = assigned(ONE)
    assignment.end()
    assignment.begin({ONE}, 2)

    assignment.receive(fetched(ONE, 0, 2, generation=1))
    assert delivered(assignment) == []

    assignment.receive(fetched(ONE, 0, 1, generation=2))
    assert delivered(assignment) == [(0, [0, 1])]


def test_what_was_fetched_before_a_seek_is_not_delivered_after_it() -> None:
    assignment = assigned(ONE)
    _, epoch = assignment.seek(ONE)

    assignment.receive(fetched(ONE, 7, 8, epoch=epoch - 1))
    assert delivered(assignment) == []

    assignment.receive(fetched(ONE, 2, 3, epoch=epoch))
    assert delivered(assignment) == [(0, [2, 3])]


def test_a_run_from_before_a_seek_or_a_revoke_is_an_orphan() -> None:
    assignment = assigned(ONE, OTHER)
    assignment.receive(fetched(ONE, 0, 2))
    assignment.receive(fetched(OTHER, 0, 2))
    one, other = sorted(assignment.deliverable(ONE.topic), key=lambda run: run.partition)

    assignment.seek(ONE)
    assert [one.is_current, other.is_current] == [False, True]
    one.ack()
    assert [tp for tp in assignment.moved() if tp == ONE] == []

    assert assignment.end() == {ONE, OTHER}
    other.ack()
    assert [one.is_current, other.is_current] == [False, False]
    assert assignment.moved() == {}


def test_a_partition_that_is_not_ours_cannot_be_sought() -> None:
    assignment = assigned(ONE)
    with pytest.raises(NotOwned):
        assignment.seek(OTHER)


def test_a_partition_whose_runs_are_never_done_does_not_hold_back_others() -> None:
    assignment = assigned(ONE, OTHER)
    assignment.receive(fetched(ONE, 0, 20))
    assert delivered(assignment) == [(0, [0, 1, 2]), (0, [3, 4, 5])]

    assignment.receive(fetched(OTHER, 0, 2))

    assert delivered(assignment) == [(1, [0, 1, 2])]


def test_partitions_take_turns() -> None:
    assignment = assigned(ONE, OTHER)
    assignment.receive(fetched(ONE, 0, 5))
    assignment.receive(fetched(OTHER, 0, 5))

    turns = [partition for partition, _ in delivered(assignment)]

    assert turns in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_runs_of_another_topic_are_left_where_they_are() -> None:
    other = TP("raw", 0)
    assignment = assigned(ONE, other)
    assignment.receive(fetched(ONE, 0, 2))
    assignment.receive(fetched(other, 5, 6))

    assert set(assignment.topics) == {"facts", "raw"}
    assert delivered(assignment) == [(0, [0, 1, 2])]
    assert [offsets(run) for run in assignment.deliverable("raw")] == [[5, 6]]


def test_a_commit_that_is_known_is_not_repeated() -> None:
    assignment = assigned(ONE)
    assignment.receive(fetched(ONE, 0, 2))
    for run in assignment.deliverable(ONE.topic):
        run.ack()

    ((runs, point),) = assignment.moved().values()
    assert point == Committed(3, "")
    runs.committed = point

    assert assignment.moved() == {}


def test_the_same_offset_of_a_topic_that_was_made_anew_is_committed_once_more() -> None:
    assignment = assigned(ONE)
    for topic_id in ("old", "new"):
        piece = Piece((), 0, 0, paused=False, start=Start(topic_id, 0, 1))
        assignment.receive(Fetched(1, {ONE: piece}))
        for run in assignment.deliverable(ONE.topic):
            run.ack()
        ((runs, point),) = assignment.moved().values()
        assert point == Committed(0, topic_id)
        runs.committed = point
    assert assignment.moved() == {}

    assignment.forget_commits()
    assert [point for _, point in assignment.moved().values()] == [Committed(0, "new")]


def test_a_paused_partition_is_resumed_once_it_has_room() -> None:
    assignment = assigned(ONE)
    assignment.receive(Fetched(1, {ONE: Piece(records(0, 8), 9, 0, paused=True)}))
    assert assignment.with_room_again() == []

    for _ in range(2):
        assignment.partitions[ONE].next_run()

    assert [assignment.with_room_again(), assignment.with_room_again()] == [[ONE], []]


def test_all_partitions_together_hand_out_no_more_than_they_may_and_go_on_when_one_is_done() -> None:
    limits = RunLimits(max_records=1, max_outstanding=9, max_all_bytes=600)
    assignment = Assignment(limits, lambda: None)
    assignment.begin({ONE, OTHER}, 1)
    big = [Record(offset, b"0" * 200) for offset in range(5)]
    assignment.receive(Fetched(1, {tp: Piece(big, 5, 0, paused=False) for tp in (ONE, OTHER)}))

    runs = list(assignment.deliverable("facts")) + list(assignment.deliverable("facts"))
    assert [run.size_bytes for run in runs] == [300, 300]

    runs[0].ack()
    assert len(list(assignment.deliverable("facts"))) == 1


def test_nothing_more_is_fetched_while_enough_waits() -> None:
    assignment = Assignment(RunLimits(max_records=1, max_outstanding=9, max_all_bytes=600), lambda: None)
    assignment.begin({ONE, OTHER}, 1)
    said = [assignment.has_enough]

    big = [Record(offset, b"0" * 200) for offset in range(2)]
    assignment.receive(Fetched(1, {ONE: Piece(big, 2, 0, paused=False)}))
    said.append(assignment.has_enough)
    next(assignment.deliverable("facts"))
    said.append(assignment.has_enough)

    assert said == [False, True, False]
