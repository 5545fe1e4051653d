"""The page reports exactly what was measured."""

from datetime import UTC, datetime

import pytest

from bench.page import NOTE, page
from bench.report import Report
from bench.table import ms, table, us
from bench.targets import targets
from tests.support import bench_figures as figures

AT = datetime(2026, 11, 28, tzinfo=UTC)


def told(report: Report, *, is_quick: bool = False) -> str:
    return page(report, "Some machine.", AT, is_quick=is_quick)


def row(text: str, part: str) -> list[str]:
    """Return the cells of the first row of which the first cell says this."""
    line = next(line for line in text.splitlines() if line.startswith("|") and part in line.split("|")[1])
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_run_in_which_all_holds_says_so_and_begins_with_who_wrote_it() -> None:
    text = told(figures.report())

    assert text.startswith(NOTE)
    assert f"2026-11-28, `make bench`: **all {len(targets(figures.report()))} targets hold**." in text
    assert "Some machine." in text
    assert "| no |" not in text


def test_a_missed_target_is_called_no_with_its_figure() -> None:
    report = figures.report()
    report.throughput = figures.throughput(faust=500)

    text = told(report)

    assert f"**{len(targets(report)) - 1} of {len(targets(report))} targets hold**." in text
    assert row(text, "Faust's as documented")[1:] == ["≥ 50 x", "40.0 x", "no"]


def test_contenders_are_told_with_median_and_spread_and_what_tally_is_to_them() -> None:
    text = told(figures.report()).partition("## Throughput")[2]

    assert row(text, "Tally, one worker")[1:] == ["20,000 (19,000 to 24,000)", "33.3 %", "1.00 x"]
    assert row(text, "quixstreams")[1:] == ["5,000 (5,000 to 5,000)", "8.3 %", "4.00 x"]
    assert row(text, "Tally, flush and view alone")[1:] == ["5.0"]


def test_a_load_that_the_machine_did_not_carry_is_no_secret() -> None:
    lower = figures.under_load(carried=7_400, asked=7_500)

    text = told(Report(reads=figures.reads(lower)))

    assert "did not carry 10,000 events/s" in text
    assert "view in its own process was measured at 7,400" in text
    assert row(text, "a campaign's answer")[3] == "yes, but at 7,400 events/s of 10,000"
    assert "did not carry" not in told(figures.report())


def test_a_304_is_told_beside_the_same_answer_which_is_the_target_and_beside_one_with_new_numbers() -> None:
    text = told(figures.report())

    assert row(text, "304")[1:] == ["≤ 0.5 x", "0.40 x", "yes"]
    assert "A 304 costs 40% of the whole answer of the same campaign" in text
    assert "and 18% of one with new numbers" in text


@pytest.mark.parametrize("section", ["Throughput", "Freshness", "Reads", "Growth", "Noise"])
def test_a_section_that_was_not_measured_is_not_there(section: str) -> None:
    assert f"## {section}\n" in told(figures.report())
    assert f"## {section}\n" not in told(Report())


def test_a_section_that_failed_is_named() -> None:
    assert "or something did not come in time: reads." in told(Report(failed=["reads"]))


def test_a_quick_run_claims_nothing() -> None:
    text = told(figures.report(), is_quick=True)

    assert "figures mean nothing" in text
    assert "targets hold" not in text


def test_the_table_of_targets_never_rounds_a_figure_over_its_bound() -> None:
    """A figure beside its bound has as many digits as it takes to see on which side it is."""
    text = told(Report(freshness=figures.freshness(view_p99_ms=150.04)))

    assert row(text, "events/s, p99") == [
        "event to view beside 10,000 events/s, p99",
        "≤ 150 ms",
        "150.04 ms",
        "no",
    ]


def test_figures_have_the_digits_that_matter() -> None:
    assert [ms(one) for one in (0.123, 1.26, 99.94, 123.4)] == ["0.12 ms", "1.3 ms", "99.9 ms", "123 ms"]
    assert [us(one) for one in (None, 1.26, 123.4)] == ["-", "1.3", "123"]


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [(1, "x")]) == "| a | b |\n| --- | --- |\n| 1 | x |"
