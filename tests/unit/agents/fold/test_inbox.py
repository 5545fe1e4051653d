"""A fold begins at its own progress, regardless of the group's offset, and never jumps."""

import asyncio
from collections import defaultdict
from typing import NamedTuple

import pytest

from tally.agents.fold.failure import FamilyFailure, family_code, is_beyond_retry, next_failure
from tally.agents.fold.inbox import Inbox, foreign, intake_of
from tally.agents.fold.rows import BrokenSum, move
from tally.schemas.rows import Failure, Row
from tally.tables.contribution import Change
from tests.support.partition import Record


class FakeRun(NamedTuple):
    records: list[Record]

    def release(self) -> None:
        raise AssertionError("taking lets go of nothing")

    def ack(self) -> None:
        raise AssertionError("taking acknowledges nothing")


def run(*offsets: int) -> FakeRun:
    return FakeRun([Record(offset, b"", b"") for offset in offsets])


@pytest.mark.parametrize(
    ("runs", "next_offset", "taken", "gap_at"),
    [
        ([run(0, 1, 2)], 0, [0, 1, 2], None),
        ([run(0, 1, 2), run(3, 4)], 2, [2, 3, 4], None),
        ([run(0, 1, 2)], 3, [], None),
        ([run(5, 6)], 3, [], 5),
        ([run(0, 1), run(3)], 0, [], 3),
        ([run(0, 2)], 0, [], 2),
        ([], 7, [], None),
    ],
)
def test_facts_before_progress_are_skipped_and_a_gap_is_never_jumped(
    runs: list[FakeRun], next_offset: int, taken: list[int], gap_at: int | None
) -> None:
    intake = intake_of(runs, next_offset)

    assert [record.offset for record in intake.records] == taken
    assert intake.gap_at == gap_at


FACT = Record(3, b"n1/wamid.1", b"m1" + bytes(6) + b"fact")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (FACT._replace(value=b""), "no fact"),
        (FACT._replace(value=b"x"), "no fact"),
        (FACT._replace(value=b"m1" + bytes(5)), "no fact"),
        (FACT._replace(key=b""), "no fact"),
        (FACT._replace(value=b"zz" + FACT.value[2:]), "b'zz'; of a newer release"),
    ],
)
def test_a_record_of_others_in_the_facts_log_is_found_by_its_offset(record: Record, said: str) -> None:
    found = foreign([FACT._replace(offset=2), record, FACT._replace(offset=4)])

    assert found is not None
    assert found.offset == 3
    assert said in found.what
    assert foreign([FACT]) is None


@pytest.mark.asyncio
async def test_an_inbox_hands_out_as_many_runs_as_fit_and_at_least_one() -> None:
    inbox = Inbox()
    for each in (run(*range(5)), run(5, 6), run(7)):
        inbox.put(each)

    assert await inbox.next_runs(max_records=3) == [run(*range(5))]
    assert await inbox.next_runs(max_records=3) == [run(5, 6), run(7)]


@pytest.mark.asyncio
async def test_a_closed_inbox_ends_the_loop_that_waits_for_it() -> None:
    inbox = Inbox()
    waiting = asyncio.ensure_future(inbox.next_runs(10))
    await asyncio.sleep(0)
    inbox.close()

    assert await waiting == []


def test_the_third_failure_of_one_fact_quarantines_it() -> None:
    first = next_failure(None, 7, "ValueError")
    third = next_failure(next_failure(first, 7, "ValueError"), 7, "ValueError")

    assert [is_beyond_retry(failure) for failure in (first, third)] == [False, True]


def test_failures_of_different_facts_do_not_add_up() -> None:
    assert next_failure(Failure(7, 2, "ValueError"), 8, "ValueError").times == 1


def test_lack_of_memory_is_never_the_fault_of_a_fact() -> None:
    with pytest.raises(MemoryError), family_code():
        raise MemoryError
    with pytest.raises(FamilyFailure), family_code():
        raise KeyError("a wamid")


def test_a_row_that_lost_everything_is_kept_as_zeros() -> None:
    row = Row(3, 10, 20, [], {"sent": 1})

    assert move(row, Change(defaultdict(int, sent=-1), 10, 20), 4) == Row(4, 10, 20, [], {})


def test_a_counter_never_falls_below_zero() -> None:
    with pytest.raises(BrokenSum):
        move(Row(3, 10, 20, [], {"sent": 1}), Change(defaultdict(int, sent=-2), 10, 20), 4)


def test_a_row_of_which_nothing_changes_is_not_written() -> None:
    row = Row(3, 10, 20, ["a"], {"sent": 1})

    assert move(row, Change(defaultdict(int), 12, 15, {"a"}), 4) is None
