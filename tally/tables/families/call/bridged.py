"""Time spans in which channels were connected: in one bridge, or in bridges joined by Local channels."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from msgspec import Struct, field

from tally.tables.families.call.dial_graph import Graph
from tally.tables.families.call.state import ENTER, LEAVE, Channel, moment_key
from tally.tables.families.call.timeline import Span

ConnectedSpans = dict[str, list[Span]]
"""The spans in which a customer's channel was connected with each other channel."""
NOBODY: frozenset[str] = frozenset()


class Step(Struct):
    """What one channel did at one moment."""

    left: set[str]
    entered: list[str]
    is_over: bool = False


class Inside(Struct):
    """The channels in one bridge, by kind: customers, halves of Local channels, and all others."""

    customers: set[str] = field(default_factory=set)
    locals: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


class Reach(Struct):
    """Bridges that are connected through Local channels, and both halves of these channels."""

    bridges: set[str]
    locals: set[str]


def connected_by(
    graph: Graph, customers: Collection[str], legs: Collection[str]
) -> dict[str, ConnectedSpans]:
    """For each customer channel, return the spans of its connections with each other non-Local channel.

    `legs` are all channels of customers; none of them counts as connected with a customer. One pass serves
    all customers, because an operator's channel may stay up all day and serve hundreds of calls.
    """
    if not customers:
        return {}
    bridges = _Bridges(graph, frozenset(customers), frozenset(legs))
    steps = _steps(graph.channels)
    for at_us in sorted(steps):
        bridges.go_on(at_us, steps[at_us])
    return bridges.spans()


class _Bridges:
    """The bridge of each channel at one moment, and the connections of customers up to then."""

    def __init__(self, graph: Graph, customers: frozenset[str], legs: frozenset[str]) -> None:
        self._graph = graph
        self._customers = customers
        self._legs = legs
        self._locals = {unique for unique, channel in graph.channels.items() if channel.is_local}
        self._bridges: dict[str, str] = {}
        self._over: set[str] = set()
        self._inside: dict[str, Inside] = defaultdict(Inside)
        self._with = dict.fromkeys(customers, NOBODY)
        self._since: dict[str, dict[str, int]] = {customer: {} for customer in customers}
        self._spans: dict[str, ConnectedSpans] = {customer: defaultdict(list) for customer in customers}

    def go_on(self, at_us: int, steps: dict[str, Step]) -> None:
        """Move the channels of one moment, and update the customers whom the moves may affect.

        A customer's move affects no other customer. The move of an operator or a Local channel affects all
        customers connected with it.
        """
        movers = [unique for unique in steps if unique not in self._legs or unique in self._locals]
        # Not `&` of the two sets, which would visit all customers.
        concerned = {unique for unique in steps if unique in self._customers}
        if movers:
            concerned |= self._beside(movers)
        for unique, step in steps.items():
            self._move(unique, step)
        if movers:
            concerned |= self._beside(movers)
        self._look(concerned, at_us)

    def spans(self) -> dict[str, ConnectedSpans]:
        """Return all connections; the end of an open one is None."""
        for customer, since in self._since.items():
            for other, at_us in since.items():
                self._spans[customer][other].append((at_us, None))
        return self._spans

    def _look(self, customers: Iterable[str], at_us: int) -> None:
        """Compare each customer's connections now and before; customers in one bridge share the result."""
        now_of: dict[str | None, frozenset[str]] = {}
        # Keys are identities of sets; the values hold these sets, so that no id is reused meanwhile.
        changes: dict[tuple[int, int], tuple[frozenset[str], frozenset[str], frozenset[str]]] = {}
        for customer in customers:
            place = None if customer in self._locals else self._bridges.get(customer, "")
            now = now_of.get(place) if place is not None else None
            if customer in self._over:
                now = NOBODY  # even if the other half of a Local channel is still in a bridge
            if now is None:
                reach = self._reach([customer])
                now = frozenset().union(*(self._inside[bridge].others for bridge in reach.bridges))
                now_of[place] = now
            before = self._with[customer]
            change = changes.get((id(before), id(now)))
            if change is None:
                change = changes[id(before), id(now)] = (before - now, now - before, before)
            self._with[customer] = now
            since, spans = self._since[customer], self._spans[customer]
            for gone in change[0]:
                spans[gone].append((since.pop(gone), at_us))
            for new in change[1]:
                since[new] = at_us

    def _beside(self, uniques: Iterable[str]) -> set[str]:
        """Return the customers that these channels reach now, including halves of their Local channels."""
        reach = self._reach(uniques)
        return set(self._customers & reach.locals).union(
            *(self._inside[bridge].customers for bridge in reach.bridges)
        )

    def _reach(self, uniques: Iterable[str]) -> Reach:
        """Return the bridges of these channels, and all bridges and Local channels connected with them."""
        if not self._locals:
            bridges = self._bridges
            return Reach({bridges[unique] for unique in uniques if unique in bridges}, set())
        reach = Reach(set(), set())
        waiting = list(uniques)
        while waiting:
            unique = waiting.pop()
            if unique in self._locals and unique not in reach.locals:
                reach.locals.add(unique)
                if (other := self._graph.other_half(unique)) is not None:
                    waiting.append(other)
            bridge = self._bridges.get(unique)
            if bridge is not None and bridge not in reach.bridges:
                reach.bridges.add(bridge)
                waiting += self._inside[bridge].locals
        return reach

    def _move(self, unique: str, step: Step) -> None:
        """Move one channel; a bridge entered and left in one moment is left, unless it was in it before."""
        before = self._bridges.get(unique)
        stays = [bridge for bridge in step.entered if bridge not in step.left or bridge == before]
        after = max(stays, default=None if before in step.left else before)
        if step.is_over:
            self._over.add(unique)
            after = None
        if before is not None:
            for kind in self._kinds(unique, self._bridges.pop(unique)):
                kind.discard(unique)
        if after is not None:
            self._bridges[unique] = after
            for kind in self._kinds(unique, after):
                kind.add(unique)

    def _kinds(self, unique: str, bridge: str) -> list[set[str]]:
        """Return the sets of a bridge that a channel belongs to."""
        inside = self._inside[bridge]
        kinds = [inside.locals] if unique in self._locals else []
        if unique in self._customers:
            kinds.append(inside.customers)
        return kinds or ([] if unique in self._legs else [inside.others])


def _steps(channels: dict[str, Channel]) -> dict[int, dict[str, Step]]:
    """Return the steps of channels by time and channel; from its hang-up on a channel enters no bridge."""
    steps: dict[int, dict[str, Step]] = defaultdict(lambda: defaultdict(lambda: Step(set(), [])))
    for unique, channel in channels.items():
        for key, times in channel.moments.items():
            letter, bridge, _ = moment_key(key)
            for at_us in times:
                if letter == LEAVE:
                    steps[at_us][unique].left.add(bridge)
                elif letter == ENTER and (channel.hangup is None or at_us < channel.hangup.at_us):
                    steps[at_us][unique].entered.append(bridge)
        if channel.hangup:
            steps[channel.hangup.at_us][unique].is_over = True
    return steps
