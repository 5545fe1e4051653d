"""The figures of growth, and the lines that tell them."""

from collections.abc import Iterator
from statistics import mean

from msgspec import Struct

from tests.bench.growth_counting import Counted
from tests.bench.growth_disk import Disk
from tests.bench.growth_restart import Recovery, Restart

MB = 1_000_000


class Growth(Struct, frozen=True):
    """All figures."""

    small: tuple[Counted, ...]
    """Counted before and after the big load, so that whatever the machine does meets both."""
    big: Counted
    disk: Disk
    stop_s: float
    restart: Restart
    recovery: Recovery

    @property
    def times_the_cost(self) -> float:
        """CPU an event of the big load, over that of the small one."""
        return self.big.cpu_us / mean(one.cpu_us for one in self.small)


def told(growth: Growth) -> Iterator[str]:
    """Yield the lines of a report."""
    for name, one in (
        ("small, before", growth.small[0]),
        ("big", growth.big),
        ("small, after", growth.small[1]),
    ):
        yield (
            f"{name}: {one.events} events, {one.cpu_us:.1f} us CPU an event, "
            f"{one.events_per_second:,.0f} events/s, RSS {one.rss_bytes / MB:.0f} MB"
        )
    yield f"an event costs {growth.times_the_cost:.2f} times as much"
    disk, restart, recovery = growth.disk, growth.restart, growth.recovery
    keys = ", ".join(f"{keys} {table}" for table, keys in disk.records.items() if keys)
    yield f"{disk.states} states; keys by table: {keys}"
    yield (
        f"disk {disk.bytes_compacted / MB:.1f} MB compacted, {disk.bytes_a_state:.0f} bytes a state; "
        f"as left {disk.bytes_left / MB:.1f} MB; keys and values {disk.plain_bytes / MB:.1f} MB"
    )
    yield (
        f"orderly stop {growth.stop_s:.2f} s; restart: answering after {restart.answering_s:.2f} s, "
        f"joined {restart.joined_s:.2f} s, progress {restart.progress_s:.2f} s; "
        f"{restart.without_join_s:.2f} s without the join"
    )
    yield (
        f"empty disk: {recovery.records} records in {recovery.seconds:.1f} s: "
        f"{recovery.records / recovery.seconds:,.0f} records/s, "
        f"{recovery.per_second:,.0f} states/s, RSS {recovery.rss_bytes / MB:.0f} MB"
    )
