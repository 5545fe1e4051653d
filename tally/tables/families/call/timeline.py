"""Times and durations of what happened on one channel."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tally.tables.families.call.state import ENTER, HOLD, UNHOLD, Channel, moment_key

Span = tuple[int, int | None]
"""From and until, in microseconds; until is None if the span has not ended, or its end was not observed."""


def times_of(channel: Channel, letter: str, detail: str = "") -> list[int]:
    """Return the times of one kind of moment on a channel, sorted; copies of one event are one."""
    found = {
        at_us
        for key, times in channel.moments.items()
        if key.startswith(letter) and moment_key(key).where == detail
        for at_us in times
    }
    return sorted(found)


def times_by_detail(channel: Channel, letter: str) -> Mapping[str, list[int]]:
    """Return the times of one kind of moment on a channel, by bridge or queue, sorted."""
    found: dict[str, set[int]] = defaultdict(set)
    for key, times in channel.moments.items():
        if key.startswith(letter):
            found[moment_key(key).where].update(times)
    return {detail: sorted(times) for detail, times in found.items()}


def entered_us(channel: Channel) -> int | None:
    """Return when a channel first entered a bridge before its hang-up; None if it never did."""
    first = min((times[0] for key, times in channel.moments.items() if key.startswith(ENTER)), default=None)
    if first is None or (channel.hangup and first >= channel.hangup.at_us):
        return None
    return first


def whole_ms(spans: Sequence[Span]) -> int:
    """Return the total of all spans that have ended, in whole milliseconds."""
    return sum(until - since for since, until in spans if until is not None) // 1_000


def held_ms(holds: Sequence[tuple[int, int]], while_connected: Sequence[Span]) -> int:
    """Return the milliseconds for which a channel held the other side.

    A hold counts if it begins while connected: an operator's channel may serve several customers.
    """
    held_us = 0
    for since, end in while_connected:
        first = bisect_left(holds, (since, 0))
        last = len(holds) if end is None else bisect_left(holds, (end, 0))
        held_us += sum(until - held for held, until in holds[first:last])
    return held_us // 1_000


def holds_of(channel: Channel) -> list[tuple[int, int]]:
    """Return the ended spans of hold: from a Hold to the next Unhold, or to the hang-up."""
    holds: list[tuple[int, int]] = []
    since: int | None = None
    steps = [(at_us, HOLD) for at_us in times_of(channel, HOLD)]
    if not steps:
        return holds
    steps += [(at_us, UNHOLD) for at_us in times_of(channel, UNHOLD)]
    if channel.hangup:
        steps.append((channel.hangup.at_us, UNHOLD))
    for at_us, what in sorted(steps):
        if what == HOLD:
            since = at_us if since is None else since
        elif since is not None:
            holds.append((since, at_us))
            since = None
    return holds
