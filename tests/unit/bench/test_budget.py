"""The budget of an event: which marks are those of a probe, and the bars."""

from pathlib import Path

import pytest

from bench.budget import STAGES, Passed, Share, budget, fact_key, moments
from bench.marks import ACKED, COMMITTED, COMPUTED, FETCHED, SEEN, TAKEN, Mark, read_marks
from bench.picture import COLUMNS, MEDIAN, TAIL, bar, picture
from bench.probes import Probe, Track, _body
from tally.simulator.records import as_producers_write
from tests.support import bench_figures as figures

RAW, FACTS = "send-results", "facts-1"
MARKS = [
    Mark(FETCHED, RAW, 3, 11, 1.0),
    Mark(TAKEN, RAW, 3, 11, 2.0),
    Mark(ACKED, RAW, 3, 11, 4.0),
    Mark(FETCHED, FACTS, 1, 101, 3.5),
    Mark(TAKEN, FACTS, 1, 101, 5.0),
    Mark(COMPUTED, FACTS, 1, 101, 6.0),
    Mark(COMMITTED, FACTS, 1, 101, 8.0),
    Mark(SEEN, "-", 1, 101, 9.0),
]
PROBE = Probe(b"", 3, 10, acked_s=0.5, seen_s=10.0)


def test_a_probe_reaches_the_end_of_each_stage_when_its_record_and_its_fact_do() -> None:
    found = moments(PROBE, (1, 100), Passed(MARKS), RAW, FACTS)

    assert found == [0.5, 1.0, 2.0, 4.0, 4.0, 5.0, 6.0, 8.0, 9.0, 10.0]
    assert len(found) == len(STAGES) + 1


def test_no_stage_takes_less_than_no_time_and_all_together_take_the_whole() -> None:
    found = budget([moments(PROBE, (1, 100), Passed(MARKS), RAW, FACTS)], 3_300, 3_299)

    assert min(share.p50_ms for share in found.stages.values()) == 0
    assert sum(share.p50_ms for share in found.stages.values()) == pytest.approx(found.whole.p50_ms) == 9_500


def test_of_marks_out_of_order_that_of_the_records_own_run_counts() -> None:
    passed = Passed([Mark(ACKED, RAW, 0, 20, 1.0), Mark(ACKED, RAW, 0, 10, 2.0)])

    assert passed.at_s(ACKED, RAW, 0, 9) == 2.0
    assert passed.at_s(ACKED, RAW, 0, 10) == passed.at_s(ACKED, RAW, 0, 19) == 1.0


def test_a_record_that_passed_twice_passed_when_it_was_first() -> None:
    passed = Passed([Mark(FETCHED, RAW, 0, 10, 3.0), Mark(FETCHED, RAW, 0, 10, 1.0)])

    assert passed.at_s(FETCHED, RAW, 0, 9) == 1.0


def test_a_record_that_passed_nowhere_is_an_error() -> None:
    with pytest.raises(AssertionError, match="no mark acked"):
        Passed(MARKS).at_s(ACKED, RAW, 3, 11)


def test_a_mark_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "marks").write_bytes(b"".join(mark.line for mark in MARKS))

    assert read_marks(tmp_path / "marks") == MARKS


def test_two_probes_never_have_one_fact() -> None:
    first, second = Track(1, "seen", published=1), Track(1, "seen", published=2)
    keys = {fact_key(Probe(as_producers_write(_body(one)), 0, 0, 0.0)) for one in (first, second)}

    assert len(keys) == 2


def test_the_longest_bar_is_that_of_the_longest_stage_and_none_is_empty() -> None:
    assert bar(Share(5.0, 10.0), 10.0) == MEDIAN * (COLUMNS // 2) + TAIL * (COLUMNS // 2)
    assert bar(Share(0.0, 0.01), 10.0) == bar(Share(0.0, 0.0), 0.0) == MEDIAN


def test_the_picture_has_a_line_for_each_stage_and_for_the_whole() -> None:
    drawn = picture(figures.budget()).splitlines()

    assert [line for line in drawn if MEDIAN in line] == drawn[2 : 2 + len(STAGES)]
    assert drawn[-2].split() == ["event", "to", "answer", "19.0", "ms", "37.0", "ms"]
    assert max(map(len, drawn)) <= 118
