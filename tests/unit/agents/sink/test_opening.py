"""Where a partition begins, from what Postgres holds and what the logs are."""

import pytest
from msgspec import structs

from tally.agents.sink.opening import (
    Begun,
    ForeignStore,
    ForeignTopic,
    Forgotten,
    Found,
    LogTooShort,
    NewerColumns,
    OtherRules,
    Ours,
    SinkStopped,
    begin,
)
from tally.schemas.rows import UNFINISHED, Progress
from tally.schemas.topics import COUNTERS, STATES
from tally.streams.worker.metrics import SQLSTATE_CLASSES
from tally.tables.postgres.progress import SinkProgress

DAY_MS = 86_400_000
HALF_RETENTION_MS = 3.5 * DAY_MS
NOW_MS = 1_795_350_000_000
OURS = Ours("0050-b")
HELD = SinkProgress(
    store_id="s1",
    states_topic="aa",
    counters_topic="bb",
    seq=7,
    rules="r1",
    columns="0050-b",
    states_offset=70,
    counters_offset=90,
    cut_at_ms=NOW_MS - 1_000,
    facts_offset=70,
    is_cut=True,
    epoch=3,
    is_pruned=True,
    writer="w",
    writes=12,
)
FOUND = Found(
    Progress(100, "s1", "r1", seq=9),
    {STATES: "aa", COUNTERS: "bb"},
    {STATES: 0, COUNTERS: 0},
    {STATES: 80, COUNTERS: 95},
)


def begun(held: SinkProgress | None, found: Found = FOUND, ours: Ours = OURS, **more: bool) -> Begun:
    answer = begin(held, found, ours, NOW_MS, HALF_RETENTION_MS, **more)
    assert answer is not None
    return answer


def is_anew(answer: Begun) -> bool:
    return answer.places == FOUND.starts and answer.epoch > HELD.epoch and not answer.is_pruned


def test_a_sink_goes_on_where_postgres_left_off() -> None:
    assert begun(HELD) == Begun(HELD.places, "r1", HELD.cut_at_ms, 3, is_pruned=True, is_cut=True)


def test_a_reading_from_the_start_goes_on_as_the_same_epoch() -> None:
    held = structs.replace(HELD, is_cut=False, is_pruned=False)
    assert begun(held) == Begun(HELD.places, "r1", HELD.cut_at_ms, 3, is_pruned=False, is_cut=False)


def test_where_nothing_is_held_everything_is_read_as_an_epoch_that_no_row_has() -> None:
    answer = begun(None)
    assert (answer.places, answer.epoch, answer.is_pruned, answer.is_cut) == (
        FOUND.starts,
        NOW_MS,
        False,
        False,
    )


def test_nothing_begins_where_nothing_was_ever_counted() -> None:
    assert begin(None, structs.replace(FOUND, progress=None), OURS, NOW_MS, HALF_RETENTION_MS) is None


def test_other_rules_are_a_new_epoch() -> None:
    assert is_anew(begun(structs.replace(HELD, rules="r0")))


def test_a_recount_under_way_names_no_rules_yet() -> None:
    found = structs.replace(FOUND, progress=Progress(100, "s1", UNFINISHED, seq=9))
    assert not is_anew(begun(HELD, found))
    assert begun(None, found).rules == ""


@pytest.mark.parametrize("columns", ["", "0049-a", "0050-a"])
def test_a_writer_that_knows_more_columns_reads_anew(columns: str) -> None:
    assert is_anew(begun(structs.replace(HELD, columns=columns)))


def test_a_writer_that_knows_fewer_columns_waits() -> None:
    with pytest.raises(NewerColumns, match="a newer version of Tally writes these counters"):
        begun(structs.replace(HELD, columns="0051-c"))


@pytest.mark.parametrize("days", [-4.0, 4.0])
def test_a_cut_older_than_half_of_the_tombstones_time_is_read_anew_by_any_clock(days: float) -> None:
    assert is_anew(begun(structs.replace(HELD, cut_at_ms=NOW_MS - round(days * DAY_MS))))


def test_an_old_cut_behind_which_there_is_only_a_marker_lacks_nothing() -> None:
    held = structs.replace(HELD, cut_at_ms=NOW_MS - 30 * DAY_MS, states_offset=79, counters_offset=94)
    assert not is_anew(begun(held))


def test_a_new_epoch_can_be_asked_for() -> None:
    assert is_anew(begun(HELD, is_anew=True))


def test_another_store_is_named() -> None:
    with pytest.raises(ForeignStore, match="store s0 under this generation, and the logs are of store s1"):
        begun(structs.replace(HELD, store_id="s0"))


@pytest.mark.parametrize("log", [STATES, COUNTERS])
def test_a_log_replaced_by_a_longer_one_under_the_same_generation_is_named(log: str) -> None:
    found = structs.replace(FOUND, topics={**FOUND.topics, log: "cc"}, ends={STATES: 9_000, COUNTERS: 9_000})
    with pytest.raises(ForeignTopic, match=f"a topic {log} with id .* is\n? ?cc now: raise TALLY_GENERATION"):
        begun(HELD, found)


def test_a_replaced_log_in_which_nothing_is_yet_is_named_as_well() -> None:
    found = structs.replace(FOUND, progress=None, topics={STATES: "cc", COUNTERS: "bb"})
    with pytest.raises(ForeignTopic):
        begun(HELD, found)


def test_a_log_that_ends_or_begins_elsewhere_is_named() -> None:
    with pytest.raises(LogTooShort, match="from states up to offset 70, and it has offsets 0 to 60 now"):
        begun(HELD, structs.replace(FOUND, ends={STATES: 60, COUNTERS: 95}))
    with pytest.raises(LogTooShort, match="from counters up to offset 90, and it has offsets 91 to 95 now"):
        begun(HELD, structs.replace(FOUND, starts={STATES: 0, COUNTERS: 91}))


def test_logs_that_know_less_than_postgres_are_named() -> None:
    with pytest.raises(
        Forgotten, match="holds transaction 7 of this partition, and the newest in its logs is 6"
    ):
        begun(HELD, structs.replace(FOUND, progress=Progress(100, "s1", "r1", seq=6)))


def test_a_sink_that_derives_something_by_other_rules_than_progress_names_waits() -> None:
    with pytest.raises(OtherRules, match="counts by rules r1, and this process has r2"):
        begun(HELD, ours=structs.replace(OURS, rules="r2"))
    assert begun(HELD, ours=structs.replace(OURS, rules="r1"))
    assert begun(structs.replace(HELD, rules="r0")), "rows need no rules"


def test_every_reason_to_stop_has_a_name_in_metrics() -> None:
    assert {one.group for one in SinkStopped.__subclasses__()} <= set(SQLSTATE_CLASSES)
