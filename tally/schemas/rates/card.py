"""Rates: what one message of a category costs in a market, from one day to another. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise

from msgspec import Struct, structs

from tally.schemas.rates.areas import AREA_OF, OTHER

SAME_AS = {"authentication-international": "authentication_international", "marketing_lite": "marketing"}
"""Categories of webhooks that a card may have under another name."""


class Key(Struct, frozen=True, order=True):
    """What a rate is for."""

    currency: str
    """By ISO 4217."""
    market: str
    """A region, an area of Meta's cards, or `Other`."""
    category: str


class Rate(Struct, frozen=True):
    """The list price of one message, in days of the account's own zone."""

    key: Key
    since: date
    micros: int | None
    """Millionths of the currency; None where the card says that there is no such rate."""
    until: date | None = None
    """The first day on which it no longer holds; None: until a later one of the same key begins."""
    stated_until: date | None = None
    """As its own card says it; `until` is earlier where a whole card has ended it."""
    line: int = 0
    """Where it stands; 0 for one that is loaded."""


class Complaint(Struct, frozen=True, order=True):
    """What is wrong with a card, and in which line."""

    line: int
    said: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.said}"


def overlaps(rates: Iterable[Rate]) -> list[Complaint]:
    """Return where two rates of one key would hold on the same day."""
    found = []
    for of_key in _by_key(rates).values():
        for one, other in pairwise(of_key):
            if one.since == other.since or (one.until is not None and one.until > other.since):
                first, second = sorted((one, other), key=lambda rate: rate.line)
                where = f"line {first.line}" if first.line else f"what is loaded from {first.since} on"
                key = second.key
                said = f"{key.market} {key.category} {key.currency} from {second.since} overlaps {where}"
                found.append(Complaint(second.line, said))
    return sorted(found)


class Card:
    """All rates of a currency; they do not overlap."""

    def __init__(self, currency: str, rates: Iterable[Rate]) -> None:
        self.currency = currency
        self._rates = _by_key(rate for rate in rates if rate.key.currency == currency)

    @property
    def changes(self) -> list[date]:
        """The days on which a rate begins or ends, sorted: from one to the next all rates hold."""
        rates = [rate for of_key in self._rates.values() for rate in of_key]
        return sorted(
            {rate.since for rate in rates} | {rate.until for rate in rates if rate.until is not None}
        )

    def rate(self, market: str, category: str, day: date) -> Rate | None:
        """Return what decides on the price of a message on a day; None where the card says nothing of it.

        A country's own line decides, even one that says that there is no rate; else that of its area, else
        `Other`. An empty market has no price.
        """
        names = [name for name in (market, AREA_OF.get(market), OTHER) if name] if market else []
        for key in (Key(self.currency, name, one) for name in names for one in _categories(category)):
            if (rate := self._on(key, day)) is not None:
                return rate
        return None

    def micros(self, market: str, category: str, day: date) -> int | None:
        """Return the list price of one message; None where the card has none for it on that day."""
        rate = self.rate(market, category, day)
        return None if rate is None else rate.micros

    def _on(self, key: Key, day: date) -> Rate | None:
        started = [rate for rate in self._rates.get(key, ()) if rate.since <= day]
        if not started or ((until := started[-1].until) is not None and until <= day):
            return None
        return started[-1]


def _categories(category: str) -> tuple[str, ...]:
    """Return the names under which a card may have a category, its own first."""
    return (category, SAME_AS[category]) if category in SAME_AS else (category,)


def ended(loaded: Sequence[Rate], since: date, currency: str) -> list[Rate]:
    """Return rates so that those of the currency end where a whole new card of it begins.

    One that another of its key follows has ended there already.
    """
    last = {rate.key: rate for rate in sorted(loaded, key=lambda rate: rate.since)}
    return [
        structs.replace(rate, until=since)
        if rate.key.currency == currency and rate is last[rate.key] and _holds_on(rate, since)
        else rate
        for rate in loaded
    ]


def _holds_on(rate: Rate, day: date) -> bool:
    """Return whether a rate that begins before a day would still hold on it."""
    return rate.since < day and (rate.until is None or rate.until > day)


def _by_key(rates: Iterable[Rate]) -> Mapping[Key, list[Rate]]:
    found: defaultdict[Key, list[Rate]] = defaultdict(list)
    for rate in rates:
        found[rate.key].append(rate)
    for of_key in found.values():
        of_key.sort(key=lambda rate: (rate.since, rate.line))
    return found
