"""The figures that the page is made of, what each must be and is meant to be, and whether it is."""

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from bench.answers import Answered
from bench.freshness import FIXED_LOADS, AtLoad, Freshness
from bench.growth import BOTH_TIMES, CAMPAIGNS_TIMES, STATES_TIMES, Counted, Growth
from bench.report import Report
from bench.table import rate
from bench.throughput_figures import FAUST, QUIX, QUIX_TWICE, TALLY, Throughput

MEMORY_BUDGET_MB = 512
MB = 1 << 20


class Table(StrEnum):
    """The tables of the page."""

    THROUGHPUT = "Throughput and CPU"
    FRESHNESS = "Time to a number"
    GROWTH = "Growth"


class Bound(Struct, frozen=True):
    """One side of a figure; exactly one of both is given."""

    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        """The bound itself."""
        found = self.at_most if self.at_least is None else self.at_least
        assert found is not None
        return found

    def holds(self, figure: float) -> bool:
        """Return whether a figure is within the bound, which itself is good enough; NaN never is."""
        return figure <= self.at_most if self.at_most is not None else figure >= self.value


class Target(Struct, frozen=True):
    """One figure with what it must be, and what it is meant to be; neither where it only stands beside."""

    table: Table
    what: str
    figure: float
    unit: str
    detail: str = ""
    """What the figure was taken from, or what was really carried beside it."""
    must: Bound | None = None
    aim: Bound | None = None
    short_of: str = ""
    """How the conditions of the measurement fell short of those that the target names."""

    def holds(self, bound: Bound) -> bool:
        """Return whether a bound holds, under the conditions that the target names."""
        return not self.short_of and bound.holds(self.figure)


def targets(report: Report) -> list[Target]:
    """Return the targets of the sections that were measured."""
    found: list[Target] = []
    if report.throughput:
        found += _throughput(report.throughput)
    if report.freshness:
        half = HALF * report.throughput.median_per_second if report.throughput else None
        found += _freshness(report.freshness, half)
    if report.answers:
        found += _answers(report.answers)
    if report.growth:
        found += _growth(report.growth)
    return found


def _throughput(found: Throughput) -> Iterator[Target]:
    def over(name: str, must: Bound | None = None, aim: Bound | None = None) -> Target:
        rates = f"{rate(found.median_per_second)} over {rate(found.contenders[name].median_per_second)}"
        return Target(
            Table.THROUGHPUT, f"events/s, over {name}", found.times(name), " x", rates, must=must, aim=aim
        )

    yield over(QUIX, Bound(at_least=2.3), Bound(at_least=3))
    yield over(QUIX_TWICE)
    yield over(FAUST, aim=Bound(at_least=40))
    costs = f"{found.contenders[TALLY].whole_cpu_us:.1f} us over {found.contenders[QUIX].whole_cpu_us:.1f}"
    yield Target(
        Table.THROUGHPUT,
        f"CPU an event, over {QUIX}",
        found.cpu_times(QUIX),
        " x",
        costs,
        must=Bound(at_most=0.5),
    )


MOST_MS = {
    (FIXED_LOADS[0], "p50"): (35, 25),
    (FIXED_LOADS[0], "p99"): (120, 60),
    (FIXED_LOADS[1], "p50"): (50, 30),
    (FIXED_LOADS[1], "p99"): (170, 100),
}
"""What the delay of the view must not exceed, and what it is meant not to exceed."""
HALF, HALF_MOST_MS = 0.5, 200
"""The share of the maximum, and the aim at that load."""
IDLE_MOST_MS = 40
POSTGRES_MOST_MS = 1_500
POSTGRES_LOAD = FIXED_LOADS[1]


def _freshness(found: Freshness, half: float | None) -> Iterator[Target]:
    idle = f"{found.idle.probes} probes"
    what = "event to view, nothing else flowing, {}"
    yield _time(what.format("p50"), found.idle.p50_ms, idle)
    yield _time(what.format("p99"), found.idle.p99_ms, idle, must=IDLE_MOST_MS)
    for one in found.loads:
        yield from _at_load(one, is_half=one.wanted_per_second == half)


def _at_load(one: AtLoad, *, is_half: bool) -> Iterator[Target]:
    load = one.wanted_per_second
    beside = f"{'half of the maximum, ' if is_half else ''}{rate(load)} events/s"
    detail = f"{one.view.probes} probes, {rate(one.carried_per_second)} events/s carried"
    short = "" if one.is_carried else _short(one.carried_per_second, load)
    for share, figure in (("p50", one.view.p50_ms), ("p99", one.view.p99_ms)):
        must, aim = MOST_MS.get((load, share), (None, None))
        if is_half and share == "p99":
            aim = HALF_MOST_MS
        yield _time(f"event to view beside {beside}, {share}", figure, detail, short, must, aim)
    most = POSTGRES_MOST_MS if load == POSTGRES_LOAD else None
    yield _time(f"event to Postgres beside {beside}, p99", one.postgres.p99_ms, detail, short, most)


def _answers(found: Answered) -> Iterator[Target]:
    short = "" if found.is_carried else _short(found.carried_per_second, found.wanted_per_second)
    latency = found.latency
    detail = f"{latency.answers:,} answers, {rate(found.carried_per_second)} events/s carried"
    what = (
        f"a campaign's answer beside {rate(found.wanted_per_second)} events/s, view in its own process, {{}}"
    )
    yield _time(what.format("p50"), latency.p50_ms, detail, short)
    yield _time(what.format("p99"), latency.p99_ms, detail, short, 15, 8)


def _short(carried: float, wanted: float) -> str:
    return f"but at {rate(carried)} events/s of {rate(wanted)}"


def _time(
    what: str,
    figure: float,
    detail: str = "",
    short: str = "",
    must: float | None = None,
    aim: float | None = None,
) -> Target:
    return Target(Table.FRESHNESS, what, figure, " ms", detail, _most(must), _most(aim), short)


def _most(bound: float | None) -> Bound | None:
    return None if bound is None else Bound(at_most=bound)


def _growth(found: Growth) -> Iterator[Target]:
    def times(what: str, one: Counted, must: float | None = None, aim: float | None = None) -> Target:
        first = sum(each.cpu_us for each in found.first) / len(found.first)
        rss_mb = one.rss_bytes / MB
        detail = f"{one.cpu_us:.1f} us over {first:.1f}, {rss_mb:.0f} MB"
        short = "" if rss_mb <= MEMORY_BUDGET_MB else f"but with {rss_mb:.0f} MB of {MEMORY_BUDGET_MB}"
        named = f"CPU an event, {what}"
        return Target(Table.GROWTH, named, found.times(one), " x", detail, _most(must), _most(aim), short)

    yield times(f"{CAMPAIGNS_TIMES} times as many campaigns", found.campaigns, must=1.3)
    yield times(f"{STATES_TIMES} times as many states", found.states, must=1.25)
    yield times(f"{BOTH_TIMES} times as many campaigns and states", found.both, aim=1.6)
