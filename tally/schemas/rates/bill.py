"""A bill: what delivered messages cost, together and by template, number, market, campaign or rate. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from msgspec import Struct

from tally.schemas.rates.card import Card
from tally.schemas.rates.pricing import REGULAR, Cost, Counted, cost

Group = tuple[str, ...]


class Delivered(Struct, frozen=True):
    """Messages of one group and one market that were sent on days on which the same rates hold."""

    group: Group
    day: date
    """One of these days; one before all rates if they were sent before them."""
    market: str
    delivered: int
    priced_as: Mapping[str, int] = {}
    """Those of them that have a price, by category/type (schemas/bounded.py)."""
    read: int = 0
    replied: int = 0
    """Customers; they need no delivered message of this market and these days."""


class Line(Struct, frozen=True):
    """What decides on the price of messages, as a line of a bill names it."""

    market: str
    category: str
    """Empty for messages without a price."""
    kind: str
    since: date | None = None
    """The first day of the rate; None for what is free or unpriced."""
    micros: int | None = None
    """The rate."""


class Sum(Struct, frozen=True):
    """What messages cost, and what became of them; `delivered` is priced + free + unpriced."""

    cost: Cost = Cost()
    delivered: int = 0
    read: int = 0
    replied: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(
            self.cost + other.cost,
            self.delivered + other.delivered,
            self.read + other.read,
            self.replied + other.replied,
        )


def total(found: Iterable[Delivered], card: Card) -> Sum:
    """Return what all cost together."""
    return sum((_sum(one, card) for one in found), Sum())


def by_group(found: Iterable[Delivered], card: Card) -> dict[Group, Sum]:
    """Return what messages cost by their groups; the sums of all groups are the total."""
    sums: dict[Group, Sum] = {}
    for one in found:
        sums[one.group] = sums.get(one.group, Sum()) + _sum(one, card)
    return sums


def by_line(found: Iterable[Delivered], card: Card) -> dict[Line, Cost]:
    """Return what messages cost by market, category, type and rate, as on a bill."""
    lines: dict[Line, Cost] = {}
    for one in found:
        for counted in _counted(one):
            line = _line(counted, card)
            lines[line] = lines.get(line, Cost()) + cost(counted, card)
    return lines


def _sum(one: Delivered, card: Card) -> Sum:
    costs = (cost(counted, card) for counted in _counted(one))
    return Sum(sum(costs, Cost()), one.delivered, one.read, one.replied)


def _counted(one: Delivered) -> Sequence[Counted]:
    """Return messages by category and type; those without a price are of none."""
    found = []
    for priced_as, count in one.priced_as.items():
        category, _, kind = priced_as.partition("/")
        found.append(Counted(one.market, category, kind, one.day, count))
    without = one.delivered - sum(one.priced_as.values())
    return [*found, Counted(one.market, "", "", one.day, without)] if without else found


def _line(counted: Counted, card: Card) -> Line:
    named = counted.market, counted.category, counted.kind
    rate = card.rate(counted.market, counted.category, counted.day) if counted.kind == REGULAR else None
    if rate is None or rate.micros is None:
        return Line(*named)
    return Line(*named, rate.since, rate.micros)
