"""What the read benchmark found, and how it is told."""

from collections.abc import Iterator

from msgspec import Struct

from tests.bench.reads_turns import Figures, Latency

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


def told(report: ReadsReport) -> Iterator[str]:
    """Yield the lines of a report."""
    yield "{} sends, {} statuses, {} messages; the publisher has a process of its own".format(*report.sizes)
    yield from _under_load("view in its own process", report.own_process)
    yield from _under_load("all roles in one process", report.all_roles)
    for pair in report.side_by_side:
        yield f"side by side, without load: a campaign of {pair.sends} sends, {pair.share:.0%} of all"
        yield _line("stored function", pair.function)
        yield _line("read API", pair.api)
        yield f"  {pair.times_faster:.0f} times faster"
    if (times := report.times_faster_when_fresh) is not None:
        yield f"new numbers under load: {times:.0f} times faster than the stored function without load"


def _under_load(name: str, found: UnderLoad) -> Iterator[str]:
    yield (
        f"{name}, at {found.events_per_second:.0f} events/s of {found.wanted_per_second:.0f} wanted,"
        f" {found.lag_seconds:.2f} s behind"
    )
    yield _line("moving campaign, 200", found.moving.all, found.moving.cpu_us)
    if found.moving.changed is not None:
        yield _line("  those with new numbers", found.moving.changed, found.fresh_cpu_us)
    yield _line("unchanged campaign, 200", found.unchanged.all, found.unchanged.cpu_us)
    yield _line("unchanged campaign, 304", found.not_modified.all, found.not_modified.cpu_us)


def _line(name: str, latency: Latency, cpu_us: float | None = None) -> str:
    numbers = ", ".join(
        f"{what} {ms:7.3f} ms"
        for what, ms in (("p50", latency.p50_ms), ("p99", latency.p99_ms), ("worst", latency.worst_ms))
    )
    cost = "" if cpu_us is None else f", {cpu_us:.0f} us CPU of the server each"
    return f"  {name:<26} {numbers} ({latency.answers} answers{cost})"
