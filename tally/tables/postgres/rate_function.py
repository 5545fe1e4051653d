"""The SQL function that finds the list price of a message, with the areas of Meta's cards. Pure."""

import textwrap
from collections.abc import Iterable
from itertools import groupby

from tally.schemas.rates.areas import AREA_OF, OTHER
from tally.schemas.rates.card import SAME_AS

WIDTH = 100


def _area(area: str, regions: Iterable[str]) -> str:
    listed = textwrap.fill(
        ", ".join(f"'{region}'" for region in regions),
        WIDTH,
        initial_indent=" " * 16,
        subsequent_indent=" " * 16,
    )
    return f"            WHEN $2 IN (\n{listed}\n            ) THEN '{area}'"


_AREAS = "\n".join(
    _area(area, (region for region, _ in regions))
    for area, regions in groupby(AREA_OF.items(), key=lambda one: one[1])
)
_CATEGORIES = " ".join(f"WHEN '{name}' THEN '{known}'" for name, known in SAME_AS.items())

RATE_FUNCTION = f"""\
-- What decides on the list price of a message on a day of the account's own zone: a country's own
-- rate, even one that says that there is none, else that of its area, else Other. No row where the
-- cards say nothing of it.
CREATE OR REPLACE FUNCTION tally.rate(currency text, market text, category text, day date)
RETURNS TABLE (effective_from date, micros bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
AS $$
    SELECT held.effective_from, held.micros
    FROM (
        VALUES (1, $2), (3, '{OTHER}'), (2, CASE
{_AREAS}
        END)
    ) AS named (place, market)
    CROSS JOIN LATERAL (
        -- A rate holds until the next of its market and category begins, also where that one ends by itself.
        SELECT DISTINCT ON (rates.category)
            rates.category, rates.effective_from, rates.effective_until, rates.micros
        FROM tally.rates
        WHERE rates.currency = $1 AND rates.market = named.market AND rates.effective_from <= $4
            AND rates.category IN ($3, CASE $3 {_CATEGORIES} END)
        ORDER BY rates.category, rates.effective_from DESC
    ) AS held
    WHERE $2 <> '' AND coalesce(held.effective_until > $4, true)
    ORDER BY named.place, held.category = $3 DESC
    LIMIT 1
$$;
"""  # noqa: S608 - names of our own lists
