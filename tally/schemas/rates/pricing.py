"""What messages cost: counts by market, category, type and day, times the rates of their days. Pure.

Money is never counted: it is derived when somebody asks, so that a mended card needs no recount.
"""

from datetime import date
from zoneinfo import ZoneInfo

from msgspec import Struct

from tally.schemas.buckets import day_start_s
from tally.schemas.rates.card import Card
from tally.schemas.rates.reading import MICROS

REGULAR = "regular"
FREE = frozenset({"free_customer_service", "free_entry_point"})
"""Types of messages that cost nothing, whatever the card says."""


class Counted(Struct, frozen=True):
    """So many messages of one market, category and type, sent on days on which the same rates hold."""

    market: str
    category: str
    kind: str
    day: date
    """One of these days, in the account's own zone."""
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


def cost(counted: Counted, card: Card) -> Cost:
    """Return what counted messages cost at the list price of their day."""
    if counted.kind in FREE:
        return Cost(free=counted.count)
    micros = None
    if counted.kind == REGULAR:
        micros = card.micros(counted.market, counted.category, counted.day)
    if micros is None:
        return Cost(unpriced=counted.count)
    return Cost(micros * counted.count, counted.count)


class Period(Struct, frozen=True):
    """The time from one change of a card to the next, for the accounts of one zone."""

    day: date
    """Its first day."""
    start_s: int
    """Its first instant, in unix seconds: midnight there, which is always at a quarter hour UTC."""


def periods(card: Card, zone: ZoneInfo) -> list[Period]:
    """Return the periods in which the rates of a card hold, for accounts whose days are those of a zone."""
    return [Period(day, day_start_s(day, zone)) for day in card.changes]


def shown(micros: int) -> str:
    """Return micro-units as a decimal number, with two decimals at least."""
    whole, rest = divmod(abs(micros), MICROS)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole}.{decimals}"
