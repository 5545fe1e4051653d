"""The options of a benchmark run, and those reserved to a whole run."""

import pytest

from bench.__main__ import _asked, _sizes
from bench.growth import BOTH_TIMES
from bench.report import Report
from bench.sections import QUICK, SECTIONS
from tests.support import bench_figures as figures


def asking(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *arguments])


@pytest.mark.parametrize("less", [("--quick",), ("--only", "throughput")])
def test_only_a_whole_run_writes_the_page(monkeypatch: pytest.MonkeyPatch, less: tuple[str, ...]) -> None:
    asking(monkeypatch, "--write", "page.md", *less)

    with pytest.raises(SystemExit):
        _asked()


@pytest.mark.parametrize("unknown", ["thruput", "reads", "answers,", ""])
def test_a_section_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch, unknown: str) -> None:
    asking(monkeypatch, "--only", unknown)

    with pytest.raises(SystemExit):
        _asked()


def test_sections_run_in_their_order_however_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, "--only", "answers,throughput")

    assert _asked().only == ("throughput", "answers")


def test_the_largest_load_is_half_of_what_was_measured_unless_another_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = Report(figures.throughput())

    asking(monkeypatch)
    assert _sizes(_asked()).loads(measured) == (3_300.0, 10_000.0, 20_000.0)
    asking(monkeypatch, "--load", "700")
    assert _sizes(_asked()).loads(measured) == (3_300, 10_000, 700)


def test_where_the_maximum_is_not_known_only_the_fixed_loads_are_probed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asking(monkeypatch, "--only", "freshness")

    assert _sizes(_asked()).loads(Report()) == (3_300, 10_000)


def test_a_whole_run_is_past_every_cache_and_a_quick_one_is_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, "--rounds", "5")
    whole = _sizes(_asked())

    assert _asked().only == tuple(SECTIONS)
    assert whole.throughput.rounds == 5
    # About 3.8 events a message, and three states.
    assert whole.throughput.messages * 3.7 > 300_000
    assert whole.growth.messages * BOTH_TIMES * 2.9 > 1_000_000
    assert min(whole.freshness.probes, whole.budget.probes) >= 200
    assert QUICK.throughput.messages * 10 < whole.throughput.messages
