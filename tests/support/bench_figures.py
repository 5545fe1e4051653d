"""Made-up benchmark figures that meet every target, for tests of their judgement and report."""

from msgspec import structs

from bench.freshness import Delay, Freshness
from bench.growth_counting import Counted
from bench.growth_disk import Disk
from bench.growth_report import Growth
from bench.growth_restart import Recovery, Restart
from bench.noise import Beside, Noise
from bench.noise_drain import Drained
from bench.reads_report import ReadsReport, SideBySide, UnderLoad
from bench.reads_turns import Figures, Latency
from bench.report import Report
from bench.stages import Stages
from bench.tally_round import Round
from bench.throughput_figures import Measured, Throughput

EVENTS = 300_000
MB = 1_000_000


def measured(*rates: float, cpu_us: float = 10.0) -> Measured:
    """Return rounds with these rates."""
    return Measured(EVENTS, [Round(EVENTS / rate, {"process": EVENTS * cpu_us / 1e6}) for rate in rates])


def throughput(faust: float = 300.0, quixstreams: float = 5_000.0, ceiling: float = 60_000.0) -> Throughput:
    """Return the throughput report of a Tally that counts 20,000 events a second beside these rates."""
    contenders = {
        "ceiling": measured(ceiling),
        "tally": measured(19_000, 20_000, 24_000),
        "quixstreams": measured(quixstreams),
        "faust": measured(faust),
    }
    by_role = Measured(EVENTS, [Round(15.0, {"route": 3.0, "fold": 6.0, "flush-view": 1.5})])
    return Throughput(contenders, by_role)


def freshness(view_p99_ms: float = 80.0, carried: float = 10_000.0) -> Freshness:
    return Freshness(
        Delay(10.0, 20.0, 300), 10_000.0, carried, Delay(12.0, view_p99_ms, 300), Delay(700.0, 1_200.0, 60)
    )


def under_load(p99_ms: float = 2.0, carried: float = 10_000.0, asked: float = 10_000.0) -> UnderLoad:
    def figures(cpu_us: float) -> Figures:
        latency = Latency(1_000, 0.5, p99_ms, 2 * p99_ms)
        return Figures(latency, structs.replace(latency, answers=400), cpu_us)

    return UnderLoad(10_000.0, asked, carried, 0.1, figures(300.0), figures(200.0), figures(80.0))


def reads(own: UnderLoad | None = None, function_p50_ms: float = 200.0) -> ReadsReport:
    function, api = Latency(100, function_p50_ms, 250.0, 300.0), Latency(1_000, 0.5, 1.0, 2.0)
    pair = SideBySide(0.2, 10_000, function, api)
    return ReadsReport((50_857, 121_679, 49_694), own or under_load(), under_load(9.0), (pair,))


def growth(states: int = 1_080_000, rss_mb: int = 280, big_cpu_us: float = 50.0) -> Growth:
    small, big = (Counted(EVENTS, cpu_us, 20_000.0, rss_mb * MB) for cpu_us in (50.0, big_cpu_us))
    disk = Disk({"messages": states}, 200 * MB, 160 * MB, 100 * MB)
    restart, recovery = Restart(0.8, 1.5, 2.0), Recovery(2 * states, states, 5.0, rss_mb * MB)
    return Growth((small, small), big, disk, 0.5, restart, recovery)


def noise(ami_us: float = 5.0) -> Noise:
    counted = Drained(60_000, 50.0, 20_000.0)
    packets, webhooks = (Drained(200_000, cpu_us, 150_000.0) for cpu_us in (ami_us, 5.0))
    return Noise(Beside(counted, packets), Beside(counted, webhooks))


def report() -> Report:
    """Return a report in which every target holds."""
    return Report(throughput(), Stages(3.0, 12.0, 15.0), freshness(), reads(), growth(), noise())
