"""Made-up benchmark figures that meet every target, for tests of their judgement and report."""

from bench.answers import Answered, Latency
from bench.budget import STAGES, Budget, Share
from bench.freshness import FIXED_LOADS, AtLoad, Delay, Freshness
from bench.growth import Counted, Growth
from bench.growth_recovery import Recovery
from bench.report import Report
from bench.tally_round import Round
from bench.throughput_figures import FAUST, QUIX, QUIX_TWICE, TALLY, Measured, Throughput

EVENTS = 300_000
MB = 1 << 20
HALF = 20_000.0


def measured(*rates: float, cpu_us: float = 10.0) -> Measured:
    """Return rounds with these rates."""
    return Measured(EVENTS, [Round(EVENTS / rate, {"process": EVENTS * cpu_us / 1e6}) for rate in rates])


def throughput(faust: float = 900.0, quixstreams: float = 13_000.0, quix_us: float = 60.0) -> Throughput:
    """Return the throughput report of a Tally that counts 40,000 events a second beside these rates."""
    tally = Measured(
        EVENTS, [Round(EVENTS / rate, {"route": 3.0, "fold": 6.0}) for rate in (39_000, 40_000, 48_000)]
    )
    contenders = {
        TALLY: tally,
        QUIX: measured(quixstreams, cpu_us=quix_us),
        QUIX_TWICE: measured(25_000),
        FAUST: measured(faust, cpu_us=700),
    }
    return Throughput(contenders)


def at_load(per_second: float, p50_ms: float = 20.0, p99_ms: float = 50.0, carried: float = 1.0) -> AtLoad:
    view = Delay(p50_ms, p99_ms, 400)
    return AtLoad(per_second, per_second * carried, view, Delay(700.0, 1_200.0, 400))


def freshness(*loads: AtLoad, idle_p99_ms: float = 20.0) -> Freshness:
    """Return delays, those of the named loads in place of good ones."""
    named = {one.wanted_per_second: one for one in loads}
    found = tuple(named.get(load, at_load(load)) for load in (*FIXED_LOADS, HALF))
    return Freshness(found, Delay(10.0, idle_p99_ms, 400))


def answers(p99_ms: float = 6.0, carried: float = 10_000.0) -> Answered:
    return Answered(10_000.0, carried, 50.0, Latency(2_000, 800, 1.0, p99_ms, 2 * p99_ms))


def counted(cpu_us: float = 30.0, rss_mb: float = 300.0) -> Counted:
    return Counted(EVENTS, cpu_us, 40_000.0, round(rss_mb * MB))


def growth(
    campaigns: Counted | None = None, states: Counted | None = None, both: Counted | None = None
) -> Growth:
    good, recovery = counted(), Recovery(3_000_000, 7.5, 280 * MB)
    return Growth((good, good), campaigns or good, states or good, both or good, recovery)


def budget(p50_ms: float = 2.0, p99_ms: float = 8.0) -> Budget:
    stages = {name: Share(p50_ms, p99_ms) for name in STAGES}
    return Budget(3_300.0, 3_299.0, 300, stages, Share(19.0, 37.0))


def report() -> Report:
    """Return a report in which every target holds."""
    return Report(
        throughput(), freshness(), answers(), growth(), budget(), seconds={"throughput": 480.0, "growth": 300}
    )
