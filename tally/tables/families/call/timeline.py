"""When two channels of a call could hear each other: through bridges and Local channels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tally.tables.families.call.legs import Graph
from tally.tables.families.call.merge import UNTIMED
from tally.tables.families.call.state import ENTER, HOLD, LEAVE, UNHOLD, Channel

Spans = Sequence[tuple[int, int | None]]
"""From and until, in microseconds; None where it has not ended, or nobody saw it end."""


def times_of(channel: Channel, letter: str, detail: str = "") -> list[int]:
    """Return when something happened on a channel; copies of one event are one."""
    wanted = letter + detail
    found = {
        at_us
        for key, times in channel.moments.items()
        if key.split(UNTIMED, 1)[0] == wanted
        for at_us in times
    }
    return sorted(found)


def heard_by(graph: Graph, customer: str) -> dict[str, Spans]:
    """Return for each other channel that is no Local one when it was connected with the customer's."""
    steps = _steps(graph.channels)
    bridges: dict[str, str] = {}
    spans: dict[str, list[tuple[int, int | None]]] = defaultdict(list)
    open_since: dict[str, int] = {}
    for at_us in sorted(steps):
        for unique, (left, entered, over) in steps[at_us].items():
            _move(bridges, unique, left, entered, over)
        now = _connected(graph, bridges, customer)
        for unique in [unique for unique in open_since if unique not in now]:
            spans[unique].append((open_since.pop(unique), at_us))
        for unique in now:
            open_since.setdefault(unique, at_us)
    for unique, since_us in open_since.items():
        spans[unique].append((since_us, None))
    return {
        unique: found
        for unique, found in spans.items()
        if unique != customer and not graph.channels[unique].is_local
    }


Step = tuple[set[str], list[str], bool]


def _steps(channels: dict[str, Channel]) -> dict[int, dict[str, Step]]:
    """Return by time and channel which bridges it left and entered, and whether it hung up."""
    steps: dict[int, dict[str, Step]] = defaultdict(lambda: defaultdict(lambda: (set(), [], False)))
    for unique, channel in channels.items():
        for key, times in channel.moments.items():
            if key[0] not in (ENTER, LEAVE):
                continue
            bridge = key[1:].split(UNTIMED, 1)[0]
            for at_us in times:
                left, entered, _ = steps[at_us][unique]
                if key[0] == LEAVE:
                    left.add(bridge)
                else:
                    entered.append(bridge)
        if channel.hangup:
            left, entered, _ = steps[channel.hangup[0]][unique]
            steps[channel.hangup[0]][unique] = (left, entered, True)
    return steps


def _move(bridges: dict[str, str], unique: str, left: set[str], entered: list[str], over: bool) -> None:
    """Move one channel; what it enters and leaves in one moment it has left, unless it was in before."""
    before = bridges.get(unique)
    if before in left:
        del bridges[unique]
    stays = [bridge for bridge in entered if bridge not in left or bridge == before]
    if stays:
        bridges[unique] = max(stays)
    if over:
        bridges.pop(unique, None)


def _connected(graph: Graph, bridges: dict[str, str], customer: str) -> set[str]:
    """Return all channels that the customer's is connected with."""
    if customer not in bridges:
        return set()
    inside: dict[str, list[str]] = defaultdict(list)
    for unique, bridge in bridges.items():
        inside[bridge].append(unique)
    found = {customer}
    waiting = [customer]
    while waiting:
        unique = waiting.pop()
        near = [*inside.get(bridges.get(unique, ""), ()), *graph.both_halves(unique)]
        waiting.extend(new for new in near if new not in found)
        found.update(near)
    return found


def seconds_of(spans: Spans) -> int:
    """Return the whole seconds of all spans that have ended."""
    return sum(until - since for since, until in spans if until is not None) // 1_000_000


def hold_seconds(channel: Channel, within: Spans) -> int:
    """Return for how long a channel held the other side: from Hold to Unhold, or to its hang-up.

    Only while it was connected counts: an operator's channel may serve several customers.
    """
    return sum(_overlap_us(span, within) for span in _holds(channel)) // 1_000_000


def _overlap_us(hold: tuple[int, int], within: Spans) -> int:
    return sum(
        max(min(hold[1], hold[1] if until is None else until) - max(hold[0], since), 0)
        for since, until in within
    )


def _holds(channel: Channel) -> Iterator[tuple[int, int]]:
    """Yield the spans from Hold to Unhold that have ended."""
    since: int | None = None
    steps = [(at_us, HOLD) for at_us in times_of(channel, HOLD)]
    steps += [(at_us, UNHOLD) for at_us in times_of(channel, UNHOLD)]
    if channel.hangup:
        steps.append((channel.hangup[0], UNHOLD))
    for at_us, what in sorted(steps):
        if what == HOLD:
            since = at_us if since is None else since
        elif since is not None:
            yield since, at_us
            since = None
