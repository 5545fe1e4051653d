"""Rate cards in Postgres, as `tally rates load` has put them there: as SQL, and what it finds. Pure."""

from collections.abc import Sequence
from typing import Any

from tally.schemas.rates.card import Card, Key, Rate
from tally.tables.postgres.moment import Query, Records

_COLUMNS = "currency, market, category, effective_from, micros, effective_until, stated_until"
HELD = f"""
SELECT {_COLUMNS} FROM tally.rates
WHERE currency = ANY($1) ORDER BY currency, market, category, effective_from
"""  # noqa: S608 - names of ours
_ALL = f"""
SELECT {_COLUMNS} FROM tally.rates
WHERE $1::bigint IS NOT NULL AND ($2::text IS NULL OR currency = $2)
"""  # noqa: S608
_CURRENCIES = "SELECT DISTINCT currency FROM tally.rates WHERE $1::bigint IS NOT NULL ORDER BY 1"


class NoCard(Exception):
    """There are no rates in a currency, or none is named and there are several; `loaded` are all."""

    def __init__(self, loaded: Sequence[str]) -> None:
        super().__init__(", ".join(loaded))
        self.loaded = loaded


def rate_of(record: Any) -> Rate:
    """Return a rate as Postgres has it."""
    currency, market, category, since, micros, until, stated = record
    return Rate(Key(currency, market, category), since, micros, until, stated)


def queries(currency: str | None) -> list[Query]:
    """Return what reads all currencies, and the rates in one; of all of them where none is named."""
    return [Query(_CURRENCIES), Query(_ALL, (currency,))]


def card(found: Sequence[Records], currency: str | None) -> Card:
    """Return the card that is asked for; without a currency, the only one. Raises NoCard."""
    currencies, rates = found
    loaded = [record["currency"] for record in currencies]
    if currency is None and len(loaded) == 1:
        return Card(loaded[0], map(rate_of, rates))
    if currency is None or currency not in loaded:
        raise NoCard(loaded)
    return Card(currency, map(rate_of, rates))
