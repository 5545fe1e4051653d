"""Keeps rate cards in Postgres: a card goes in whole, or not at all."""

from collections.abc import Sequence
from datetime import date

import asyncpg
from msgspec import Struct

from tally.schemas.rates.card import Complaint, Rate, ended, overlaps
from tally.schemas.rates.reading import BadCard, ReadCard
from tally.tables.postgres.rates import HELD, rate_of

DEADLINE_SECONDS = 30.0
# As `ended` (schemas/rates/card.py) says it.
_END = """
UPDATE tally.rates SET effective_until = $1
WHERE currency = $2 AND effective_from < $1 AND coalesce(effective_until > $1, true)
    AND NOT EXISTS (
        SELECT FROM tally.rates AS later
        WHERE (later.currency, later.market, later.category) = (rates.currency, rates.market, rates.category)
            AND later.effective_from > rates.effective_from
    )
"""
_ADD = """
INSERT INTO tally.rates (currency, market, category, effective_from, effective_until, stated_until, micros)
VALUES ($1, $2, $3, $4, $5, $5, $6)
"""


class Loaded(Struct, frozen=True):
    """What became of a card's rates."""

    added: int
    known: int
    """Rates that are loaded already, the same in everything."""


def added(card: ReadCard, held: Sequence[Rate]) -> list[Rate]:
    """Return the rates of a card that are new. Raises BadCard where they do not go with those that are held.

    A whole card of Meta's ends what holds until then in its currency. Pure.
    """
    known = {(rate.key, rate.since): rate for rate in held}
    new = [rate for rate in card.rates if not _is_known(rate, known.get((rate.key, rate.since)))]
    complaints: list[Complaint] = []
    for currency, since in _begins(card) if new else ():
        later = min((rate.since for rate in held if _is_after(rate, currency, since)), default=None)
        if later is not None:
            said = f"{currency} is loaded from {later} on: load cards in the order of their days"
            complaints.append(Complaint(1, said))
        held = ended(held, since, currency)
    complaints += overlaps([*held, *new])
    if complaints:
        raise BadCard(sorted(complaints))
    return new


def _begins(card: ReadCard) -> Sequence[tuple[str, date]]:
    """Return the currencies of a whole card, and the day from which on it holds."""
    return sorted({(rate.key.currency, rate.since) for rate in card.rates}) if card.is_whole else ()


def _is_known(rate: Rate, held: Rate | None) -> bool:
    """Return whether it is what was loaded, also where a whole card has ended that since."""
    return held is not None and (held.micros, held.stated_until) == (rate.micros, rate.stated_until)


def _is_after(rate: Rate, currency: str, since: date) -> bool:
    return rate.key.currency == currency and rate.since > since


async def load(dsn: str, card: ReadCard) -> Loaded:
    """Add a card to what is loaded, in one transaction. Raises BadCard, OSError, asyncpg.PostgresError."""
    connection = await asyncpg.connect(dsn, timeout=DEADLINE_SECONDS, command_timeout=DEADLINE_SECONDS)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE tally.rates IN EXCLUSIVE MODE")
            held = await connection.fetch(HELD, card.currencies)
            new = added(card, [rate_of(record) for record in held])
            for currency, since in _begins(card) if new else ():
                await connection.execute(_END, since, currency)
            await connection.executemany(_ADD, [_row(rate) for rate in new])
            return Loaded(len(new), len(card.rates) - len(new))
    finally:
        await connection.close()


def _row(rate: Rate) -> tuple[object, ...]:
    key = rate.key
    return key.currency, key.market, key.category, rate.since, rate.until, rate.micros
