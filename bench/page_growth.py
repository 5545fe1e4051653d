"""Growth and noise on the page: the cost of many states, and of events that count nothing."""

from bench.growth_counting import Counted
from bench.growth_report import MB, Growth
from bench.noise import Beside, Noise
from bench.noise_drain import Drained
from bench.table import table, us

GROWTH = """## Growth

A load, one with ten times as many messages and campaigns, and the first once more, each by a worker that
has counted nothing before. An event of the large one costs {times:.2f} times as much."""
STATES = """{states:,} states in one worker take {compacted:.1f} MB of disk once compacted, {each:.0f} bytes
a state with all that belongs to it. The worker left {left:.1f} MB; keys and values alone are {plain:.1f}.

An orderly stop takes {stop_s:.1f} s. Started again on its disk, the worker answers after {answering_s:.1f} s,
has joined its groups after {joined_s:.1f} s and has counted an event after {progress_s:.1f} s:
{without_s:.1f} s without the join. On an empty disk it reads {records:,} records in {seconds:.1f} s, which is
{per_second:,.0f} states/s, and has {rss:.0f} MB of memory then."""
NOISE = """## Noise

Events that count nothing, beside those of the same kind that count, drained by a whole worker. CPU is that
of its process."""


def growth_part(found: Growth) -> str:
    """Return the section on growth."""
    before, after = found.small
    rows = [
        _counted("first", before),
        _counted("ten times as large", found.big),
        _counted("first once more", after),
    ]
    head = ("load", "events", "events/s", "CPU us an event", "memory")
    return "\n\n".join((GROWTH.format(times=found.times_the_cost), table(head, rows), _states(found)))


def _counted(name: str, one: Counted) -> tuple[str, ...]:
    rate, memory = f"{one.events_per_second:,.0f}", f"{one.rss_bytes / MB:.0f} MB"
    return name, f"{one.events:,}", rate, us(one.cpu_us), memory


def _states(found: Growth) -> str:
    disk, restart, recovery = found.disk, found.restart, found.recovery
    return STATES.format(
        states=disk.states,
        compacted=disk.bytes_compacted / MB,
        each=disk.bytes_a_state,
        left=disk.bytes_left / MB,
        plain=disk.plain_bytes / MB,
        stop_s=found.stop_s,
        answering_s=restart.answering_s,
        joined_s=restart.joined_s,
        progress_s=restart.progress_s,
        without_s=restart.without_join_s,
        records=recovery.records,
        seconds=recovery.seconds,
        per_second=recovery.per_second,
        rss=recovery.rss_bytes / MB,
    )


def noise_part(found: Noise) -> str:
    """Return the section on noise."""
    rows = [
        row
        for kind, beside in (("AMI packets", found.ami), ("webhooks", found.webhooks))
        for row in _beside(kind, beside)
    ]
    return NOISE + "\n\n" + table(("", "events", "events/s", "CPU us an event", ""), rows)


def _beside(kind: str, one: Beside) -> list[tuple[str, ...]]:
    times = f"{one.times_cheaper:.1f} times as cheap"
    return [
        _drained(f"{kind} that count", one.counted, ""),
        _drained(f"{kind} that do not", one.noise, times),
    ]


def _drained(name: str, one: Drained, times: str) -> tuple[str, ...]:
    return name, f"{one.events:,}", f"{one.events_per_second:,.0f}", us(one.cpu_us), times
