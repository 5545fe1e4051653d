"""Whether targets hold is computed from the measurements, and never in its favour."""

from collections.abc import Callable
from math import nan

import pytest
from msgspec import structs

from bench.page import verdict
from bench.report import Report
from bench.targets import Target, targets
from tests.support import bench_figures as figures

Missed = Callable[[], Report]

MISSED: dict[str, Missed] = {
    "Faust": lambda: Report(figures.throughput(faust=401)),
    "quixstreams": lambda: Report(figures.throughput(quixstreams=10_001)),
    "ceiling": lambda: Report(figures.throughput(ceiling=100_001)),
    "view beside 10,000 events/s, p99": lambda: Report(freshness=figures.freshness(151)),
    "answer beside": lambda: Report(reads=figures.reads(figures.under_load(5.1))),
    "stored function": lambda: Report(reads=figures.reads(function_p50_ms=49)),
    "ten times the states": lambda: Report(growth=figures.growth(big_cpu_us=55.1)),
    "RSS": lambda: Report(growth=figures.growth(rss_mb=301)),
    "AMI packets": lambda: Report(noise=figures.noise(10.1)),
}


def test_figures_that_are_all_good_hold_all_targets() -> None:
    assert {one.holds for one in targets(figures.report())} == {"yes"}


@pytest.mark.parametrize("what", MISSED)
def test_a_target_that_is_missed_by_little_does_not_hold_and_no_other_is_concerned(what: str) -> None:
    missed = {one.what for one in targets(MISSED[what]()) if not one.is_met}

    assert missed
    assert all(what in name for name in missed)


def test_a_bound_itself_is_good_enough() -> None:
    assert Target("", 5.0, at_least=5.0).is_met
    assert Target("", 5.0, at_most=5.0).is_met
    assert not Target("", 4.999, at_least=5.0).is_met
    assert not Target("", 5.001, at_most=5.0).is_met


def test_what_is_not_a_number_holds_nothing() -> None:
    assert not Target("", nan, at_least=0.0).is_met
    assert not Target("", nan, at_most=9.0).is_met


@pytest.mark.parametrize("cpu_us", [None, 0.0, -40.0])
def test_cpu_that_is_less_than_that_of_an_idle_process_is_no_saving(cpu_us: float | None) -> None:
    own = figures.under_load()
    own = structs.replace(own, not_modified=structs.replace(own.not_modified, cpu_us=cpu_us))

    (missed,) = [one for one in targets(Report(reads=figures.reads(own))) if not one.is_met]

    assert "304" in missed.what


def test_a_figure_that_was_measured_at_less_than_its_target_names_says_so_and_is_not_counted() -> None:
    short = [
        *targets(Report(growth=figures.growth(states=900_000))),
        *targets(Report(freshness=figures.freshness(carried=9_000))),
        *targets(Report(reads=figures.reads(figures.under_load(carried=7_500, asked=7_500)))),
    ]

    said = [one.holds for one in short if one.short_of]
    assert {"yes, but with 900,000 states", "yes, but at 9,000 events/s of 10,000"} <= set(said)
    assert "yes, but at 7,500 events/s of 10,000" in said
    assert verdict(short) == f"**{len(short) - len(said)} of {len(short)} targets hold**."


def test_of_what_was_not_measured_nothing_is_claimed() -> None:
    assert targets(Report()) == []
