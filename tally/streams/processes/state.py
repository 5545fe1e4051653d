"""Health of a worker of several processes, from what each of them says. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from tally.streams.processes.endings import as_shells_say
from tally.streams.runtime.health import Verdict

START_SECONDS = 120.0
"""How long a process may start before it counts as stuck: it waits for brokers for a minute."""


class State(Struct, frozen=True):
    """What is known of one process at one moment."""

    name: str
    reasons: tuple[str, ...] | None = ()
    """What it says against itself; None if it does not answer."""
    starting_s: float | None = None
    """For how long it has been starting; None once it has started."""
    code: int | None = None
    """How it ended; None while it runs."""


def live(states: Sequence[State]) -> Verdict:
    """Decide whether a worker is alive: every process runs, and says of itself that it does its work."""
    return _verdict(states, START_SECONDS)


def ready(states: Sequence[State], stopping: bool) -> Verdict:
    """Decide whether a worker should receive requests: every process says so, and it is not being stopped."""
    verdict = _verdict(states, 0.0)
    return Verdict(("the worker is stopping", *verdict.reasons)) if stopping else verdict


def _verdict(states: Sequence[State], start_seconds: float) -> Verdict:
    return Verdict(
        tuple(
            f"process {state.name}: {reason}" for state in states for reason in _reasons(state, start_seconds)
        )
    )


def _reasons(state: State, start_seconds: float) -> tuple[str, ...]:
    if state.code is not None:
        return (f"has ended with {as_shells_say(state.code)}",)
    if state.starting_s is not None:
        return (
            (f"has been starting for {state.starting_s:.0f} s",) if state.starting_s >= start_seconds else ()
        )
    return ("does not answer",) if state.reasons is None else state.reasons
