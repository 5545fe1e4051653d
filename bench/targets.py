"""The targets, and whether the figures meet them."""

from collections.abc import Iterator

from msgspec import Struct

from bench.freshness import Freshness
from bench.growth_report import MB, Growth
from bench.noise import Noise
from bench.reads_report import CARRIED, ReadsReport
from bench.report import Report
from bench.throughput_figures import Throughput

YES, NO = "yes", "no"
MANY_STATES = 1_000_000


class Target(Struct, frozen=True):
    """One figure with its bounds."""

    what: str
    figure: float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    short_of: str = ""
    """How the conditions of the measurement fell short of those that the target names."""

    @property
    def bound(self) -> float | None:
        """The value that the figure has to reach or must not exceed."""
        return self.at_most if self.at_least is None else self.at_least

    @property
    def is_met(self) -> bool:
        """Whether the figure is within its bounds; NaN never is."""
        enough = self.at_least is None or self.figure >= self.at_least
        return enough and (self.at_most is None or self.figure <= self.at_most)

    @property
    def holds(self) -> str:
        """The verdict on the page: yes or no, followed by what the conditions lacked."""
        return f"{YES if self.is_met else NO}{f', {self.short_of}' if self.short_of else ''}"


def targets(report: Report) -> list[Target]:
    """Return the targets of the sections that were measured."""
    found: list[Target] = []
    if report.throughput:
        found += _throughput(report.throughput)
    if report.freshness:
        found += _freshness(report.freshness)
    if report.reads:
        found += _reads(report.reads)
    if report.growth:
        found += _growth(report.growth)
    if report.noise:
        found += _noise(report.noise)
    return found


def _throughput(found: Throughput) -> Iterator[Target]:
    what = "one worker's throughput, whole job, over {}"
    yield Target(what.format("Faust's as documented"), found.times("faust"), at_least=50, unit=" x")
    yield Target(what.format("that of quixstreams"), found.times("quixstreams"), at_least=2, unit=" x")
    yield Target(what.format("the ceiling"), found.times("ceiling") * 100, at_least=20, unit=" %")


def _freshness(found: Freshness) -> Iterator[Target]:
    short = _short(found.events_per_second, found.wanted_per_second)
    under = f"event to {{}} beside {found.wanted_per_second:,.0f} events/s, {{}}"
    yield Target(under.format("view", "p50"), found.view.p50_ms, at_most=30, unit=" ms", short_of=short)
    yield Target(under.format("view", "p99"), found.view.p99_ms, at_most=150, unit=" ms", short_of=short)
    yield Target(
        under.format("Postgres", "p99"), found.postgres.p99_ms, at_most=1_500, unit=" ms", short_of=short
    )
    yield Target("event to view, nothing else flowing, p99", found.idle_view.p99_ms, at_most=50, unit=" ms")


def _short(carried: float, wanted: float) -> str:
    return "" if carried >= CARRIED * wanted else f"but at {carried:,.0f} events/s of {wanted:,.0f}"


def _reads(found: ReadsReport) -> Iterator[Target]:
    own = found.own_process
    short = _short(own.events_per_second, own.wanted_per_second)
    yield Target(
        f"a campaign's answer beside {own.wanted_per_second:,.0f} events/s, p99",
        own.moving.all.p99_ms,
        at_most=5,
        unit=" ms",
        short_of=short,
    )
    yield Target(
        "CPU of an unchanged answer (304), over that of a whole one",
        own.not_modified_over_unchanged,
        at_most=0.5,
        unit=" x",
        short_of=short,
    )
    for pair in found.side_by_side:
        what = f"an answer over the former stored function's, a campaign of {pair.sends:,} sends"
        yield Target(what, pair.times_faster, at_least=100, unit=" x")


def _growth(found: Growth) -> Iterator[Target]:
    disk, recovery, states = found.disk, found.recovery, found.disk.states
    short = "" if states >= MANY_STATES else f"but with {states:,} states"
    rss_mb = max(found.big.rss_bytes, recovery.rss_bytes) / MB
    yield Target("CPU an event with ten times the states", found.times_the_cost, at_most=1.1, unit=" x")
    yield Target("RSS with 1,000,000 states", rss_mb, at_most=300, unit=" MB", short_of=short)
    yield Target("disk a state, compacted", disk.bytes_a_state, at_most=150, unit=" bytes", short_of=short)
    yield Target(
        "recovery of an empty disk", recovery.per_second, at_least=100_000, unit=" states/s", short_of=short
    )
    yield Target(
        "restart to first progress, without the join", found.restart.without_join_s, at_most=3, unit=" s"
    )


def _noise(found: Noise) -> Iterator[Target]:
    what = "{} that count, CPU over those that count nothing"
    yield Target(what.format("AMI packets"), found.ami.times_cheaper, at_least=5, unit=" x")
    yield Target(what.format("webhook fields"), found.webhooks.times_cheaper, at_least=5, unit=" x")
