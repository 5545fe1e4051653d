"""The figures of growth."""

from statistics import mean

from msgspec import Struct

from bench.growth_counting import Counted
from bench.growth_disk import Disk
from bench.growth_restart import Recovery, Restart

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
