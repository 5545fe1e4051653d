"""Which rows are dirty, which go next, and how far flush progress may move."""

import pytest

from tally.agents.flush.dirty_rows import Batch, DirtyRows, DirtySince, resend_from, state_of
from tally.agents.flush.partition import LONGEST_SECONDS, SEARCHED_ROWS, SEARCHED_SECONDS, Outage, Searches
from tally.schemas.grains import RowKey
from tally.schemas.rows import Progress, Row
from tally.tables.pieces import at_once
from tally.tables.postgres.progress import FlushProgress
from tests.support.flush_doubles import key, row

COLUMNS = "c1"
A, B, C = key("a"), key("b"), key("c")


def held(next_offset: int, flushes: int = 1, store_id: str = "s1", columns: str = COLUMNS) -> FlushProgress:
    return FlushProgress(next_offset, store_id, columns, flushes)


def progress(next_offset: int) -> Progress:
    return Progress(next_offset, "s1", "rules")


def opened(found: FlushProgress | None = None, **rows: Row) -> DirtyRows:
    dirty_rows = DirtyRows(COLUMNS)
    reconcile(dirty_rows, found, {key(name): value for name, value in rows.items()})
    return dirty_rows


def reconcile(dirty_rows: DirtyRows, found: FlushProgress | None, rows: dict[RowKey, Row]) -> bool:
    offsets = [(name, value.next_offset) for name, value in rows.items()]
    return at_once(dirty_rows.reconcile(found, [None, *offsets], 0.0))


def batch_of(dirty_rows: DirtyRows, next_offset: int, limit: int = 1000) -> Batch:
    batch = dirty_rows.next_batch(progress(next_offset), limit)
    assert batch is not None
    return batch


@pytest.mark.parametrize(
    ("found", "feed", "expected"),
    [
        (None, None, "empty"),
        (held(9), None, "empty"),
        (None, progress(5), "flushing"),
        (held(5), progress(5), "flushing"),
        (held(6), progress(5), "behind"),
        (held(4, store_id="s2"), progress(5), "foreign_store"),
        (held(6, store_id="s2"), progress(5), "foreign_store"),
    ],
)
def test_a_partition_is_flushed_only_where_offsets_compare_and_the_feed_is_not_behind(
    found: FlushProgress | None, feed: Progress | None, expected: str
) -> None:
    assert state_of(found, feed) == expected


@pytest.mark.parametrize(
    ("found", "expected"), [(None, 0), (held(7), 7), (held(7, columns="of an older writer"), 0)]
)
def test_whoever_begins_sends_again_from_flush_progress_unless_the_columns_have_changed(
    found: FlushProgress | None, expected: int
) -> None:
    assert resend_from(found, COLUMNS) == expected


def test_after_a_restart_rows_from_flush_progress_on_are_dirty() -> None:
    assert list(opened(held(5), a=row(4), b=row(5), c=row(6)).dirty) == [B, C]


def test_a_row_that_changes_many_times_is_one_row() -> None:
    dirty_rows = opened()
    for offset in range(100):
        dirty_rows.change(A, DirtySince(offset, 0.0))
    assert dirty_rows.dirty == {A: DirtySince(0, 0.0)}


def test_a_closed_partition_remembers_nothing_and_finds_its_rows_when_it_opens() -> None:
    dirty_rows = opened()
    dirty_rows.change(A, DirtySince(1, 0.0))
    dirty_rows.close()
    dirty_rows.change(B, DirtySince(2, 0.0))
    assert dirty_rows.dirty == {}
    assert reconcile(dirty_rows, None, {C: row(3)}) is False
    assert list(dirty_rows.dirty) == [C]


def test_the_oldest_rows_go_first_and_flush_progress_stops_at_the_oldest_that_is_left() -> None:
    dirty_rows = opened()
    for offset, changed in enumerate([A, B, C], start=10):
        dirty_rows.change(changed, DirtySince(offset, 0.0))
    first = batch_of(dirty_rows, 13, limit=2)
    assert list(first.since) == [A, B]
    assert first.progress == held(12)
    dirty_rows.done(first)
    assert batch_of(dirty_rows, 13).progress == held(13, flushes=2)


def test_flush_progress_moves_without_rows_when_facts_changed_none() -> None:
    dirty_rows = opened(held(5))
    batch = batch_of(dirty_rows, 9)
    assert (batch.since, batch.progress, batch.seen) == ({}, held(9, flushes=2), held(5))


def test_nothing_is_sent_when_nothing_moved() -> None:
    assert opened(held(5)).next_batch(progress(5), 1000) is None


def test_rows_of_a_transaction_whose_progress_is_still_to_come_do_not_move_flush_progress() -> None:
    dirty_rows = opened(held(5))
    dirty_rows.change(A, DirtySince(5, 0.0))
    assert batch_of(dirty_rows, 5).progress.next_offset == 5


def test_a_row_that_changes_while_it_is_being_written_is_dirty_afterwards() -> None:
    dirty_rows = opened()
    dirty_rows.change(A, DirtySince(1, 0.0))
    batch = batch_of(dirty_rows, 2)
    dirty_rows.change(A, DirtySince(2, 1.0))
    dirty_rows.done(batch)
    assert dirty_rows.dirty == {A: DirtySince(2, 1.0)}


def test_a_batch_that_failed_is_as_old_as_before() -> None:
    dirty_rows = opened()
    dirty_rows.change(A, DirtySince(1, 0.0))
    batch = batch_of(dirty_rows, 2)
    dirty_rows.change(B, DirtySince(2, 1.0))
    dirty_rows.change(A, DirtySince(3, 2.0))
    dirty_rows.put_back(batch)
    assert list(dirty_rows.dirty.items()) == [(A, DirtySince(1, 0.0)), (B, DirtySince(2, 1.0))]


def test_flush_progress_never_passes_a_withheld_row() -> None:
    dirty_rows = opened()
    dirty_rows.change(A, DirtySince(3, 0.0))
    dirty_rows.change(B, DirtySince(4, 0.0))
    dirty_rows.withhold([A], retry_at_seconds=300.0)
    dirty_rows.change(A, DirtySince(5, 1.0))
    batch = batch_of(dirty_rows, 6)
    assert (list(batch.since), batch.progress.next_offset) == ([B], 3)


def test_a_withheld_row_is_tried_again_when_its_time_has_come() -> None:
    dirty_rows = opened()
    dirty_rows.change(A, DirtySince(3, 0.0))
    dirty_rows.withhold([A], retry_at_seconds=300.0)
    dirty_rows.release(299.9)
    assert (dirty_rows.dirty, list(dirty_rows.withheld)) == ({}, [A])
    dirty_rows.release(300.0)
    assert (dirty_rows.dirty, dirty_rows.withheld) == ({A: DirtySince(3, 0.0)}, {})


def test_what_this_flusher_left_there_is_nothing_new() -> None:
    dirty_rows = opened(held(5))
    assert reconcile(dirty_rows, held(5), {A: row(9)}) is False
    assert dirty_rows.dirty == {}


@pytest.mark.parametrize(
    ("found", "dirty"),
    [
        (held(12, flushes=4), [B]),  # another flusher went on: its progress is as good as ours
        (held(8, flushes=2), [A, B]),  # a dump was restored
        (held(10, flushes=2), [A, B]),
        (held(8, flushes=4), [A, B]),
        (held(12, flushes=4, columns="of an older writer"), [A, B]),
        (None, [A, B]),  # a dump from before
    ],
)
def test_progress_of_somebody_else_makes_rows_dirty_from_there_on_or_all_of_them(
    found: FlushProgress | None, dirty: list[RowKey]
) -> None:
    rows = {A: row(2), B: row(12)}
    dirty_rows = opened(held(10, flushes=3))
    assert reconcile(dirty_rows, found, rows) is True
    assert list(dirty_rows.dirty) == dirty


def test_progress_where_there_was_none_makes_all_rows_dirty() -> None:
    dirty_rows = opened(None)
    assert reconcile(dirty_rows, held(12), {A: row(2)}) is True
    assert list(dirty_rows.dirty) == [A]


def test_what_changes_while_somebody_reconciles_is_dirty_and_a_half_reconciliation_is_none() -> None:
    dirty_rows = DirtyRows(COLUMNS)
    steps = dirty_rows.reconcile(None, [(A, 1), (B, 2)], 0.0)
    next(steps)
    dirty_rows.change(C, DirtySince(3, 1.0))
    dirty_rows.change(B, DirtySince(3, 1.0))
    assert at_once(steps) is False
    assert dict(dirty_rows.dirty) == {A: DirtySince(0, 0.0), B: DirtySince(0, 0.0), C: DirtySince(3, 1.0)}
    given_up = dirty_rows.reconcile(held(9), [(A, 1), (B, 2)], 2.0)
    next(given_up)
    given_up.close()
    assert dirty_rows.dirty_rows == 0
    assert reconcile(dirty_rows, held(1), {A: row(1), B: row(2)}) is False
    assert dirty_rows.dirty_rows == 2


def test_flush_progress_waits_for_the_last_of_the_oldest_rows() -> None:
    dirty_rows = opened(None, a=row(1), b=row(2))
    dirty_rows.change(C, DirtySince(7, 1.0))
    assert batch_of(dirty_rows, 9, limit=1).progress.next_offset == 0
    assert batch_of(dirty_rows, 9, limit=1).progress.next_offset == 7
    assert batch_of(dirty_rows, 9, limit=1).progress.next_offset == 9


def test_rows_are_searched_for_so_often_a_minute_and_what_was_not_found_is_given_back() -> None:
    searches = Searches()
    assert [searches.reserve(0.0) for _ in range(5)] == [16, 16, 16, 2, 0]
    assert searches.free_at_seconds() == SEARCHED_SECONDS
    searches.give_back(2)
    assert searches.reserve(59.9) == 2
    assert searches.reserve(60.0) == 16
    assert SEARCHED_ROWS == 50


def test_an_outage_doubles_its_pauses_up_to_its_bound_and_ends_with_a_success() -> None:
    outage, waits = Outage(), []
    for _ in range(20):
        outage.failed("away", now_seconds=100.0, jitter=1.0)
        waits.append(outage.until_seconds - 100.0)
    assert waits[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert max(waits) == LONGEST_SECONDS
    outage.failed("away", now_seconds=100.0, jitter=0.0)
    assert outage.until_seconds - 100.0 == LONGEST_SECONDS / 2
    outage.succeeded()
    assert (outage.failures, outage.until_seconds, outage.trouble) == (0, 0.0, "")
