"""The page reports exactly what was measured."""

from datetime import UTC, datetime

import pytest

from bench.page import page
from bench.page_text import NOTE
from bench.report import Report
from bench.table import ms, table, us
from tests.support import bench_figures as figures
from tests.support.bench_figures import at_load

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
    assert "2026-11-28, `make bench`: **11 of 11 musts hold, and 9 of 9 aims**." in text
    assert "Some machine." in text
    assert ": no |" not in text


def test_the_page_has_three_tables_a_picture_and_how_it_is_measured() -> None:
    headings = [line for line in told(figures.report()).splitlines() if line.startswith("#")]

    assert headings == [
        "# Benchmarks",
        "## Throughput and CPU",
        "## Time to a number",
        "## Growth",
        "## Where the time of an event goes",
        "## How it is measured",
    ]


def test_a_missed_target_is_called_no_with_its_figure() -> None:
    report = figures.report()
    report.throughput = figures.throughput(faust=1_250)

    text = told(report)

    assert "**11 of 11 musts hold, and 8 of 9 aims**." in text
    assert row(text, "over Faust as documented")[1:] == ["32.0 x", "40,000 over 1,250", "", "≥ 40 x: no"]


def test_contenders_are_told_with_median_and_spread_and_their_cpu() -> None:
    text = told(figures.report()).partition("All contenders count")[2]

    assert row(text, "Tally, one worker")[1:] == ["40,000 (39,000 to 48,000)", "30.0"]
    assert row(text, "quixstreams, two processes")[1:] == ["25,000 (25,000 to 25,000)", "10.0"]
    assert "Of the worker's CPU an event route takes 10.0 us, fold takes 20.0 us." in text


def test_the_load_that_was_carried_stands_beside_each_figure() -> None:
    text = told(figures.report())

    assert "400 probes, 3,300 events/s carried" in row(text, "view beside 3,300 events/s, p50")
    assert "2,000 answers, 10,000 events/s carried" in row(text, "a campaign's answer")


def test_a_load_that_the_machine_did_not_carry_is_no_secret() -> None:
    text = told(Report(answers=figures.answers(carried=7_400)))

    assert row(text, "view in its own process, p99")[3] == "≤ 15 ms: yes, but at 7,400 events/s of 10,000"
    assert "**0 of 1 musts hold, and 0 of 1 aims**" in text


@pytest.mark.parametrize(
    "section", ["Throughput and CPU", "Time to a number", "Growth", "Where the time of an event goes"]
)
def test_a_section_that_was_not_measured_is_not_there(section: str) -> None:
    assert f"## {section}\n" in told(figures.report())
    assert f"## {section}\n" not in told(Report())


def test_a_section_that_failed_is_named() -> None:
    assert "or something did not come in time: answers." in told(Report(failed=["answers"]))


def test_the_page_says_how_long_each_section_took() -> None:
    assert "throughput 480 s, growth 300 s: 13 minutes in all." in told(figures.report())


def test_a_quick_run_claims_nothing() -> None:
    text = told(figures.report(), is_quick=True)

    assert "figures mean nothing" in text
    assert "musts hold" not in text


def test_a_table_never_rounds_a_figure_over_its_bound() -> None:
    """A figure beside a bound has as many digits as it takes to see on which side it is."""
    text = told(Report(freshness=figures.freshness(at_load(3_300, p99_ms=120.04))))

    assert row(text, "view beside 3,300 events/s, p99")[1:] == [
        "120.04 ms",
        "400 probes, 3,300 events/s carried",
        "≤ 120 ms: no",
        "≤ 60 ms: no",
    ]


def test_figures_have_the_digits_that_matter() -> None:
    assert [ms(one) for one in (0.123, 1.26, 99.94, 123.4)] == ["0.12 ms", "1.3 ms", "99.9 ms", "123 ms"]
    assert [us(one) for one in (1.26, 123.4)] == ["1.3", "123"]


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [(1, "x")]) == "| a | b |\n| --- | --- |\n| 1 | x |"
