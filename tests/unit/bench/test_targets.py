"""Whether targets hold is computed from the measurements, and never in its favour."""

from collections.abc import Callable
from math import nan

import pytest

from bench.freshness import AtLoad, Delay
from bench.page import verdict
from bench.report import Report
from bench.targets import Bound, Table, Target, targets
from tests.support import bench_figures as figures
from tests.support.bench_figures import at_load, counted

Missed = Callable[[], Report]

MUSTS = 11
AIMS = 9

MISSED_MUSTS: dict[str, Missed] = {
    "events/s, over quixstreams": lambda: Report(figures.throughput(quixstreams=17_400)),
    "CPU an event, over quixstreams": lambda: Report(figures.throughput(quix_us=59.9)),
    "event to view beside 3,300 events/s, p50": lambda: _fresh(at_load(3_300, p50_ms=35.1)),
    "event to view beside 3,300 events/s, p99": lambda: _fresh(at_load(3_300, p99_ms=120.1)),
    "event to view beside 10,000 events/s, p50": lambda: _fresh(at_load(10_000, p50_ms=50.1)),
    "event to view beside 10,000 events/s, p99": lambda: _fresh(at_load(10_000, p99_ms=170.1)),
    "event to view, nothing else flowing, p99": lambda: Report(freshness=figures.freshness(idle_p99_ms=40.1)),
    "a campaign's answer beside": lambda: Report(answers=figures.answers(15.1)),
    "10 times as many campaigns": lambda: Report(growth=figures.growth(campaigns=counted(39.1))),
    "4 times as many states": lambda: Report(growth=figures.growth(states=counted(37.6))),
}
MISSED_AIMS: dict[str, Missed] = {
    "events/s, over quixstreams": lambda: Report(figures.throughput(quixstreams=13_400)),
    "events/s, over Faust as documented": lambda: Report(figures.throughput(faust=1_001)),
    "event to view beside 3,300 events/s, p50": lambda: _fresh(at_load(3_300, p50_ms=25.1)),
    "event to view beside 3,300 events/s, p99": lambda: _fresh(at_load(3_300, p99_ms=60.1)),
    "event to view beside 10,000 events/s, p50": lambda: _fresh(at_load(10_000, p50_ms=30.1)),
    "event to view beside 10,000 events/s, p99": lambda: _fresh(at_load(10_000, p99_ms=100.1)),
    "half of the maximum": lambda: _fresh(at_load(figures.HALF, p99_ms=200.1), is_measured=True),
    "a campaign's answer beside": lambda: Report(answers=figures.answers(8.1)),
    "10 times as many campaigns and states": lambda: Report(growth=figures.growth(both=counted(48.1))),
}


def _fresh(*loads: AtLoad, is_measured: bool = False) -> Report:
    """Return delays, with the maximum that they are beside where that is measured too."""
    return Report(figures.throughput() if is_measured else None, figures.freshness(*loads))


def missed(report: Report, of: str) -> list[str]:
    found = [(one, getattr(one, of)) for one in targets(report)]
    return [one.what for one, bound in found if bound is not None and not one.holds(bound)]


def test_figures_that_are_all_good_hold_all_targets() -> None:
    assert missed(figures.report(), "must") == missed(figures.report(), "aim") == []


def test_there_are_as_many_targets_as_were_set() -> None:
    found = targets(figures.report())

    assert sum(one.must is not None for one in found) == MUSTS
    assert sum(one.aim is not None for one in found) == AIMS
    assert verdict(found) == f"**{MUSTS} of {MUSTS} musts hold, and {AIMS} of {AIMS} aims**."


@pytest.mark.parametrize("what", MISSED_MUSTS)
def test_a_must_that_is_missed_by_little_does_not_hold_and_no_other_is_concerned(what: str) -> None:
    (name,) = missed(MISSED_MUSTS[what](), "must")

    assert what in name


@pytest.mark.parametrize("what", MISSED_AIMS)
def test_an_aim_that_is_missed_by_little_does_not_hold_and_no_must_is_concerned(what: str) -> None:
    report = MISSED_AIMS[what]()
    (name,) = missed(report, "aim")

    assert what in name
    assert missed(report, "must") == []


def test_postgres_is_bound_at_10_000_events_alone() -> None:
    late = Delay(900.0, 1_501.0, 400)
    loads = [AtLoad(load, load, Delay(20, 50, 400), late) for load in (3_300.0, 10_000.0)]

    assert missed(_fresh(*loads), "must") == ["event to Postgres beside 10,000 events/s, p99"]


def test_a_bound_itself_is_good_enough() -> None:
    assert Bound(at_least=5.0).holds(5.0)
    assert Bound(at_most=5.0).holds(5.0)
    assert not Bound(at_least=5.0).holds(4.999)
    assert not Bound(at_most=5.0).holds(5.001)


def test_what_is_not_a_number_holds_nothing() -> None:
    assert not Bound(at_least=0.0).holds(nan)
    assert not Bound(at_most=9.0).holds(nan)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (_fresh(at_load(3_300, carried=0.94)), "but at 3,102 events/s of 3,300"),
        (Report(answers=figures.answers(carried=9_000)), "but at 9,000 events/s of 10,000"),
        (Report(growth=figures.growth(states=counted(rss_mb=513))), "but with 513 MB of 512"),
    ],
)
def test_a_figure_that_was_measured_under_other_conditions_than_its_target_names_holds_nothing(
    report: Report, said: str
) -> None:
    short = [one for one in targets(report) if one.short_of]

    assert {one.short_of for one in short} == {said}
    assert not any(one.holds(bound) for one in short for bound in (one.must, one.aim) if bound is not None)


def test_a_figure_beside_the_targets_has_no_bounds() -> None:
    (beside,) = [one for one in targets(figures.report()) if "two processes" in one.what]

    assert beside.figure == pytest.approx(1.6)
    assert beside.must is beside.aim is None


def test_every_figure_is_in_one_of_three_tables() -> None:
    assert {one.table for one in targets(figures.report())} == set(Table)
    assert all(isinstance(one, Target) for one in targets(figures.report()))


def test_of_what_was_not_measured_nothing_is_claimed() -> None:
    assert targets(Report()) == []
