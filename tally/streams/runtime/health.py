"""Health: whether a process makes progress, and whether it should receive requests. Pure."""

from collections.abc import Mapping

from msgspec import Struct


class Verdict(Struct, frozen=True):
    """A decision with the reasons against it; without reasons it is positive."""

    reasons: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether there are no reasons against it."""
        return not self.reasons


class Pulse(Struct, frozen=True):
    """The times of one role's work, in seconds of the monotonic clock."""

    waiting_since_s: float | None
    """When unfinished work began to wait; None while nothing waits."""
    progress_at_s: float
    """When the role last finished work, or when it began."""


class Readiness(Struct, frozen=True):
    """How far a process has come from its start to live answers."""

    ready_partitions: int
    """Counters partitions that the view has read to their ends."""
    partitions: int
    opening: int
    """Partitions of this process whose tables are still being recovered."""
    lag_seconds: float | None
    """Age of the latest counted moment; None if unknown."""
    joining: tuple[str, ...] = ()
    """Roles whose group has not made an assignment yet, not even an empty one."""
    opening_left_seconds: float | None = None
    """Expected time until the tables now being read are ready; None if the rate is unknown."""


def live(pulses: Mapping[str, Pulse], now_s: float, stuck_seconds: float) -> Verdict:
    """Decide whether a process is alive: no work has waited without progress for `stuck_seconds`.

    A process without work is alive. One that answers requests but leaves its work undone is not. A stuck
    event loop cannot answer at all; the watchdog detects that.
    """
    reasons = tuple(
        f"{role}: work waits and nothing was done for {silent_s:.0f} s"
        for role, pulse in sorted(pulses.items())
        if (silent_s := _silent_seconds(pulse, now_s)) > stuck_seconds
    )
    return Verdict(reasons)


def ready(state: Readiness, lag_limit_seconds: float) -> Verdict:
    """Decide whether a process should receive requests: it has recovered and caught up."""
    reasons = []
    if state.ready_partitions < state.partitions:
        reasons.append(f"view: {state.ready_partitions} of {state.partitions} partitions are read")
    reasons += [f"{role}: has not joined its group yet" for role in state.joining]
    if state.opening:
        left_s = state.opening_left_seconds
        when = "" if left_s is None else f", those that are read now for another {left_s:.0f} s"
        reasons.append(f"fold: {state.opening} partitions are being recovered{when}")
    if state.lag_seconds is None:
        reasons.append("lag: not known yet")
    elif state.lag_seconds > lag_limit_seconds:
        reasons.append(f"lag: {state.lag_seconds:.1f} s, limit {lag_limit_seconds:.1f} s")
    return Verdict(tuple(reasons))


def _silent_seconds(pulse: Pulse, now_s: float) -> float:
    if pulse.waiting_since_s is None:
        return 0.0
    return now_s - max(pulse.waiting_since_s, pulse.progress_at_s)
