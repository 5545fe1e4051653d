"""Health: whether a process makes progress, and whether its answers are worth asking for. Pure."""

from collections.abc import Mapping

from msgspec import Struct


class Verdict(Struct, frozen=True):
    """A decision with its reasons; without reasons all is well."""

    reasons: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether there is nothing to object to."""
        return not self.reasons


class Pulse(Struct, frozen=True):
    """One role's work by the monotonic clock, in seconds."""

    waiting_since_s: float | None
    """When work began to wait that is not done yet; None while nothing waits."""
    progress_at_s: float
    """When work was last done, or the role began."""


class Readiness(Struct, frozen=True):
    """How far a process is on its way from start to live answers."""

    ready_partitions: int
    """Partitions of the counters that the view has read to their ends."""
    partitions: int
    opening: int
    """Partitions of this process whose tables are still being recovered."""
    lag_seconds: float | None
    """Age of the latest moment that is counted; None where none is known."""
    joining: tuple[str, ...] = ()
    """Roles that have not been assigned anything by their group yet, not even nothing."""
    opening_left_seconds: float | None = None
    """In how long the tables that are being read now will be ready; None where no rate is known."""


def live(pulses: Mapping[str, Pulse], now_s: float, stuck_seconds: float) -> Verdict:
    """Decide whether a process is alive: work that waits is done.

    A process without work is alive; one that answers requests and does nothing else is not. One whose event
    loop is stuck does not even answer: that is the watchdog's.
    """
    reasons = tuple(
        f"{role}: work waits and nothing was done for {silent_s:.0f} s"
        for role, pulse in sorted(pulses.items())
        if (silent_s := _silent_seconds(pulse, now_s)) > stuck_seconds
    )
    return Verdict(reasons)


def ready(state: Readiness, lag_limit_seconds: float) -> Verdict:
    """Decide whether a process should be sent requests: recovered and caught up."""
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
