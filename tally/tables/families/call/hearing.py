"""Who could hear whom, and when: channels in one bridge, through any number of Local channels."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from msgspec import Struct

from tally.tables.families.call.legs import Graph
from tally.tables.families.call.state import ENTER, LEAVE, UNTIMED, Channel
from tally.tables.families.call.timeline import Span

Heard = dict[str, list[Span]]
"""By channel: when it was connected with a customer's."""


class Step(Struct):
    """What one channel did in one moment."""

    left: set[str]
    entered: list[str]
    is_over: bool = False


def heard_by(graph: Graph, customers: Collection[str]) -> dict[str, Heard]:
    """Return for each customer's channel when each other one that is no Local channel was connected with it.

    One pass for all of them: an operator's channel may stay up all day, and serve hundreds of calls.
    """
    hearing = _Hearing(graph, frozenset(customers))
    steps = _steps(graph.channels)
    for at_us in sorted(steps):
        hearing.go_on(at_us, steps[at_us])
    return hearing.spans()


class _Hearing:
    """Who is in which bridge at a moment, and since when customers have been connected with whom."""

    def __init__(self, graph: Graph, customers: frozenset[str]) -> None:
        self._graph = graph
        self._customers = customers
        self._bridges: dict[str, str] = {}
        self._inside: dict[str, set[str]] = defaultdict(set)
        self._since: dict[str, dict[str, int]] = {customer: {} for customer in customers}
        self._spans: dict[str, Heard] = {customer: defaultdict(list) for customer in customers}

    def go_on(self, at_us: int, steps: dict[str, Step]) -> None:
        """Move the channels of one moment, and look again at the customers whom that may concern."""
        concerned = self._near(steps)
        for unique, step in steps.items():
            self._move(unique, step)
        for customer in (concerned | self._near(steps)) & self._customers:
            self._look(customer, at_us)

    def spans(self) -> dict[str, Heard]:
        """Return all connections; one that has not ended has no end."""
        for customer, since in self._since.items():
            for other, at_us in since.items():
                self._spans[customer][other].append((at_us, None))
        return self._spans

    def _look(self, customer: str, at_us: int) -> None:
        since = self._since[customer]
        now = {
            unique
            for unique in self._near([customer])
            if unique != customer and not self._graph.channels[unique].is_local
        }
        for gone in since.keys() - now:
            self._spans[customer][gone].append((since.pop(gone), at_us))
        for new in now - since.keys():
            since[new] = at_us

    def _near(self, uniques: Iterable[str]) -> set[str]:
        """Return all channels that are connected with these now, themselves among them."""
        found = set(uniques)
        waiting = list(found)
        while waiting:
            unique = waiting.pop()
            bridge = self._bridges.get(unique)
            beside = self._inside[bridge] if bridge else ()
            new = {*beside, *self._graph.both_halves(unique)} - found
            found |= new
            waiting.extend(new)
        return found

    def _move(self, unique: str, step: Step) -> None:
        """Move one channel; what it enters and leaves in one moment it has left, unless it was in before."""
        before = self._bridges.get(unique)
        stays = [bridge for bridge in step.entered if bridge not in step.left or bridge == before]
        after = max(stays, default=None if before in step.left else before)
        after = None if step.is_over else after
        if before is not None:
            self._inside[self._bridges.pop(unique)].discard(unique)
        if after is not None:
            self._bridges[unique] = after
            self._inside[after].add(unique)


def _steps(channels: dict[str, Channel]) -> dict[int, dict[str, Step]]:
    """Return by time and channel which bridges it left and entered, and whether it hung up."""
    steps: dict[int, dict[str, Step]] = defaultdict(lambda: defaultdict(lambda: Step(set(), [])))
    for unique, channel in channels.items():
        for key, times in channel.moments.items():
            bridge = key[1:].split(UNTIMED, 1)[0]
            for at_us in times:
                if key[0] == LEAVE:
                    steps[at_us][unique].left.add(bridge)
                elif key[0] == ENTER:
                    steps[at_us][unique].entered.append(bridge)
        if channel.hangup:
            steps[channel.hangup[0]][unique].is_over = True
    return steps
