"""What messages cost: counts by market, category, type and quarter hour, times the rates of their days. Pure.

Money is never counted: it is derived when somebody asks, so that a mended card needs no recount.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from datetime import date, datetime, tzinfo
from typing import TypeVar

from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS
from tally.schemas.rates.card import Card
from tally.schemas.rates.reading import MICROS

REGULAR = "regular"
FREE = frozenset({"free_customer_service", "free_entry_point"})
"""Types of messages that cost nothing, whatever the card says."""

K = TypeVar("K", bound=Hashable)


class Counted(Struct, frozen=True):
    """So many messages of one market, category and type, sent within one quarter hour."""

    market: str
    category: str
    kind: str
    quarter: int
    """Quarter hours since 1970, UTC."""
    count: int


class Cost(Struct, frozen=True):
    """What messages cost; the four sum up exactly, whatever they are split by."""

    micros: int = 0
    """Millionths of the currency, of the priced messages."""
    priced: int = 0
    free: int = 0
    """Messages that cost nothing by their type."""
    unpriced: int = 0
    """Messages that may cost something: no rate for them on their day, no market, or an unknown type."""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.micros + other.micros,
            self.priced + other.priced,
            self.free + other.free,
            self.unpriced + other.unpriced,
        )

    def per(self, count: int) -> int | None:
        """Return the cost of each of so many, in micro-units, rounded half up; None of none."""
        return (2 * self.micros + count) // (2 * count) if count > 0 else None


def cost(counted: Counted, card: Card, zone: tzinfo) -> Cost:
    """Return what counted messages cost at the list price of the day on which they were sent.

    Days begin at midnight in the account's own zone, `zone`, which is always at a quarter hour UTC.
    """
    if counted.kind in FREE:
        return Cost(free=counted.count)
    micros = None
    if counted.kind == REGULAR:
        micros = card.micros(counted.market, counted.category, day_of(counted.quarter, zone))
    if micros is None:
        return Cost(unpriced=counted.count)
    return Cost(micros * counted.count, counted.count)


def cost_by(counts: Iterable[tuple[K, Counted]], card: Card, zone: tzinfo) -> dict[K, Cost]:
    """Return what messages cost by whatever they are named with: a template, a market, a day."""
    found: defaultdict[K, Cost] = defaultdict(Cost)
    for name, counted in counts:
        found[name] += cost(counted, card, zone)
    return dict(found)


def day_of(quarter: int, zone: tzinfo) -> date:
    """Return the day on which a quarter hour begins in a zone."""
    return datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone).date()


def shown(micros: int) -> str:
    """Return micro-units as a decimal number, with two decimals at least."""
    whole, rest = divmod(abs(micros), MICROS)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole}.{decimals}"
