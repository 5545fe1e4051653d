"""The figures of growth."""

from statistics import mean

from msgspec import Struct

from bench.growth_counting import Counted
from bench.growth_disk import Disk
from bench.growth_restart import Recovery, Restart

MB = 1_000_000


class Growth(Struct, frozen=True):
    """All figures of growth."""

    small: tuple[Counted, ...]
    """Counted before and after the big load, so a drift of the machine affects both."""
    big: Counted
    disk: Disk
    stop_s: float
    restart: Restart
    recovery: Recovery

    @property
    def times_the_cost(self) -> float:
        """CPU per event of the big load divided by that of the small one."""
        return self.big.cpu_us / mean(one.cpu_us for one in self.small)
