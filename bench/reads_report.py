"""What the read benchmark found."""

from math import nan

from msgspec import Struct

from bench.reads_turns import Figures, Latency

CARRIED = 0.95
LAG_SECONDS = 2.0
"""Beyond it a receipt no longer says `live`."""


class UnderLoad(Struct, frozen=True):
    """Reads of one process while events flow."""

    wanted_per_second: float
    asked_per_second: float
    """What was tried; less than is wanted where the machine did not carry that."""
    events_per_second: float
    """What came of it."""
    lag_seconds: float
    """How far the numbers were behind at the end."""
    moving: Figures
    """Whole answers of a campaign that the load changes."""
    unchanged: Figures
    """Whole answers of a campaign of the same size that it leaves alone."""
    not_modified: Figures
    """304 for that one."""

    @property
    def is_carried(self) -> bool:
        """Whether the load was what it was meant to be, and the worker followed it."""
        return self.events_per_second >= CARRIED * self.asked_per_second and self.lag_seconds < LAG_SECONDS

    @property
    def share(self) -> float:
        """The part of the wanted load at which it was measured."""
        return self.asked_per_second / self.wanted_per_second

    @property
    def fresh_cpu_us(self) -> float | None:
        """What an answer with new numbers costs: those of a moving campaign without their unchanged ones."""
        share = self.moving.changed_share
        if self.moving.cpu_us is None or self.unchanged.cpu_us is None or not share:
            return None
        return (self.moving.cpu_us - (1 - share) * self.unchanged.cpu_us) / share

    @property
    def not_modified_over_unchanged(self) -> float:
        """What a 304 costs over a whole answer of the same campaign, which is cached; NaN if not measured."""
        return _ratio(self.not_modified.cpu_us, self.unchanged.cpu_us)

    @property
    def not_modified_over_fresh(self) -> float:
        """What a 304 costs over a whole answer with new numbers; NaN if not measured."""
        return _ratio(self.not_modified.cpu_us, self.fresh_cpu_us)


class SideBySide(Struct, frozen=True):
    """The stored function and the API in turns, with no load: one campaign, asked for again and again."""

    share: float
    """Of all sends, those of this campaign."""
    sends: int
    function: Latency
    api: Latency

    @property
    def times_faster(self) -> float:
        """How many answers of the API a client has in the time of one of the function, by medians."""
        return self.function.p50_ms / self.api.p50_ms


class ReadsReport(Struct, frozen=True):
    """Everything that was measured; all answers were equal to plain counts."""

    sizes: tuple[int, int, int]
    """Sends, statuses and messages in the function's tables."""
    own_process: UnderLoad
    """The view in its own process, beside a worker that counts."""
    all_roles: UnderLoad
    """One process that counts, flushes and answers."""
    side_by_side: tuple[SideBySide, ...]
    """The big campaign first."""

    @property
    def times_faster_when_fresh(self) -> float | None:
        """As `times_faster` of the big campaign, but by answers with new numbers, under load."""
        fresh = self.own_process.moving.changed
        return None if fresh is None else self.side_by_side[0].function.p50_ms / fresh.p50_ms


def _ratio(one_us: float | None, other_us: float | None) -> float:
    # The process may have used more while nobody asked; then neither figure says anything.
    if one_us is None or other_us is None or min(one_us, other_us) <= 0:
        return nan
    return one_us / other_us
