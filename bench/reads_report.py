"""The figures of the read benchmark."""

from math import nan

from msgspec import Struct

from bench.reads_turns import Figures, Latency

CARRIED = 0.95
LAG_SECONDS = 2.0
"""The lag beyond which a receipt no longer says `live`."""


class UnderLoad(Struct, frozen=True):
    """Reads of one process while events flow."""

    wanted_per_second: float
    asked_per_second: float
    """The rate that was tried; below the wanted one where the machine did not carry that."""
    events_per_second: float
    """The rate that was reached."""
    lag_seconds: float
    """The lag of the numbers at the end."""
    moving: Figures
    """Whole answers of a campaign that the load changes."""
    unchanged: Figures
    """Whole answers of a campaign of the same size that it leaves alone."""
    not_modified: Figures
    """Answers 304 for that campaign."""

    @property
    def is_carried(self) -> bool:
        """Whether the load reached the rate that was tried, and the worker kept up with it."""
        return self.events_per_second >= CARRIED * self.asked_per_second and self.lag_seconds < LAG_SECONDS

    @property
    def share(self) -> float:
        """The share of the wanted load at which it was measured."""
        return self.asked_per_second / self.wanted_per_second

    @property
    def fresh_cpu_us(self) -> float | None:
        """CPU of an answer with new numbers: that of the moving campaign without its unchanged answers."""
        share = self.moving.changed_share
        if self.moving.cpu_us is None or self.unchanged.cpu_us is None or not share:
            return None
        return (self.moving.cpu_us - (1 - share) * self.unchanged.cpu_us) / share

    @property
    def not_modified_over_unchanged(self) -> float:
        """CPU of a 304 over that of a whole, cached answer of the same campaign; NaN if not measured."""
        return _ratio(self.not_modified.cpu_us, self.unchanged.cpu_us)

    @property
    def not_modified_over_fresh(self) -> float:
        """CPU of a 304 over that of a whole answer with new numbers; NaN if not measured."""
        return _ratio(self.not_modified.cpu_us, self.fresh_cpu_us)


class SideBySide(Struct, frozen=True):
    """The stored function and the API in turns, without load, for one campaign."""

    share: float
    """The campaign's share of all sends."""
    sends: int
    function: Latency
    api: Latency

    @property
    def times_faster(self) -> float:
        """Median latency of the function divided by that of the API."""
        return self.function.p50_ms / self.api.p50_ms


class ReadsReport(Struct, frozen=True):
    """All figures; every answer was equal to a plain count."""

    sizes: tuple[int, int, int]
    """Sends, statuses and messages in the function's tables."""
    own_process: UnderLoad
    """The view in a separate process, next to a worker that counts."""
    all_roles: UnderLoad
    """One process that counts, flushes and answers."""
    side_by_side: tuple[SideBySide, ...]
    """The big campaign first."""

    @property
    def times_faster_when_fresh(self) -> float | None:
        """Like `times_faster` of the big campaign, with the API's answers with new numbers under load."""
        fresh = self.own_process.moving.changed
        return None if fresh is None else self.side_by_side[0].function.p50_ms / fresh.p50_ms


def _ratio(one_us: float | None, other_us: float | None) -> float:
    # The process may have used more CPU while idle; then neither figure means anything.
    if one_us is None or other_us is None or min(one_us, other_us) <= 0:
        return nan
    return one_us / other_us
