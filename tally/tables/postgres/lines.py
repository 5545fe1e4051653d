"""The lines behind a number of a campaign, as SQL, and the number itself at the same moment. Pure.

A page is in the order of digests, which spreads every filter evenly over a campaign. Where few lines are
asked for, as the number says, an index by what they say finds them all; where many are, a walk in that order
soon has a page of them.
"""

from msgspec import Struct

from tally.schemas.counters import DERIVED_BY_NAME, counters_of
from tally.schemas.grains import CAMPAIGN, TEMPLATE, Grain, RowKey
from tally.schemas.keys import Template
from tally.tables.postgres.line_records import item
from tally.tables.postgres.moment import Query

FEW = 10_000
"""Up to so many lines are found by what they say, and sorted.

Of 1,000,000 lines a walk passes 10,000 until it has a page of 100 that so many others are among: either way
reads as many pages of the table.
"""
MAY_ADD_MORE = frozenset(
    (
        *(
            "duplicates",
            "connected_ms",
            "talk_ms",
            "hold_ms",
            "queue_wait_ms",
            "queue_joins",
            "queue_abandoned",
        ),
        *("queue_timeouts", "queue_waiting", "connects", "ring_no_answer", "queues", "queue_waits"),
    )
)
"""Counters of which a line may add more than 1; of all others lines are as many as the number."""
SHOWN = (
    *(
        "family",
        "subject",
        "line",
        "template_name",
        "template_language",
        "number",
        "market",
        "counters",
        "counts",
    ),
    *("at_ms", "contact", "attempt", "message", "phone", "leg", "error", "price"),
    *("kinds", "kinds_at_ms", "places"),
)

After = tuple[bytes, bytes]
"""Subject and line behind which a page begins."""
BEGINNING: After = (b"", b"")


class Chosen(Struct, frozen=True):
    """What lines are asked for."""

    tenant: str
    campaign: str
    counter: str
    """A counter, an entry of one (`errors.meta:131026`), or a derived number."""
    template: Template | None = None
    number: str | None = None
    market: str | None = None

    @property
    def name(self) -> str:
        """The number's name, without an entry."""
        return self.counter.partition(".")[0]

    @property
    def grain(self) -> Grain | None:
        """The grain whose rows hold it; of a template those of templates. None where none does."""
        of = TEMPLATE if self.template is not None else CAMPAIGN
        grains = {counter.summed_from(of) for counter in counters_of(self.name)}
        return grains.pop() if len(grains) == 1 else None

    @property
    def items(self) -> list[int]:
        """What `found_by` has of each of its lines."""
        grain = self.grain
        assert grain is not None  # noqa: S101 - the caller looked
        row = RowKey(self.tenant, self.campaign, None)
        found = [item(row, grain.name, self.counter)]
        if self.template is not None:
            found.append(item(row, "template", self.template.name, self.template.language))
        if self.number is not None:
            found.append(item(row, "number", self.number))
        if self.market is not None:
            found.append(item(row, "market", self.market))
        return found


def adds(chosen: Chosen, counters: list[str], counts: list[int] | None) -> int:
    """Return what a line adds to the number."""
    counted = dict(zip(counters, counts or [1] * len(counters), strict=True))
    derived = DERIVED_BY_NAME.get(chosen.counter)
    if derived is None:
        return counted.get(chosen.counter, 0)
    plus = sum(counted.get(name, 0) for name in derived.plus)
    return plus - sum(counted.get(name, 0) for name in derived.minus)


def lines_query(chosen: Chosen, after: After, limit: int) -> Query:
    """Return the query of the number, and of a page of its lines with one more.

    In each record are `n`, the number, and `lines`, how many lines it has: NULL for more than `FEW` of a
    number of which lines may add more than 1.
    """
    grain = chosen.grain
    assert grain is not None  # noqa: S101 - the caller looked
    arguments: list[object] = [chosen.tenant, chosen.campaign, chosen.items, *after, limit + 1, FEW]
    conditions = _equal("grain", arguments, grain.name)
    if chosen.template is not None:
        conditions += _equal("template_name", arguments, chosen.template.name)
        conditions += _equal("template_language", arguments, chosen.template.language)
    if chosen.number is not None:
        conditions += _equal("number", arguments, chosen.number)
    if chosen.market is not None:
        conditions += _equal("market", arguments, chosen.market)
    table = "counters" if chosen.number is None and chosen.market is None else "cells"
    summed = _summed(chosen.counter, arguments)
    counted = _COUNTED if chosen.name in MAY_ADD_MORE else "n"
    sql = _PAGE.format(table=table, summed=summed, conditions=" AND ".join(conditions), counted=counted)
    return Query(sql, arguments)


def _equal(column: str, arguments: list[object], value: str) -> list[str]:
    arguments.append(value)
    return [f"{column} = ${len(arguments) + 1}::text"]


def _summed(counter: str, arguments: list[object]) -> str:
    """Return the SQL of what a row or a cell has of a number."""
    name, _, entry = counter.partition(".")
    if entry:
        arguments.append(entry)
        return f"({name} ->> ${len(arguments) + 1}::text)::bigint"
    derived = DERIVED_BY_NAME.get(name)
    plus, minus = ((name,), ()) if derived is None else (derived.plus, derived.minus)
    terms = [*(f"+ coalesce({one}, 0)" for one in plus), *(f"- coalesce({one}, 0)" for one in minus)]
    return f"0 {' '.join(terms)}"


_OF_CAMPAIGN = "generation = $1 AND tenant = $2 AND campaign = $3"
_COLUMNS = ", ".join(SHOWN)
_COUNTED = f"""
CASE WHEN n <= $8::bigint THEN (SELECT count(*) FROM few WHERE {_OF_CAMPAIGN})
ELSE (
    SELECT CASE WHEN count(*) <= $8::bigint THEN count(*) FILTER (WHERE {_OF_CAMPAIGN}) END FROM (
        SELECT generation, tenant, campaign FROM tally.lines
        WHERE found_by @> $4::bigint[] LIMIT $8::bigint + 1
    ) AS found
) END
"""  # noqa: S608 - a fixed text
_PAGE = f"""
WITH number AS MATERIALIZED (
    SELECT coalesce(sum({{summed}}), 0)::bigint AS n FROM tally.{{table}}
    WHERE {_OF_CAMPAIGN} AND {{conditions}}
), few AS MATERIALIZED (
    SELECT ctid AS place, generation, tenant, campaign, subject, line FROM tally.lines
    WHERE found_by @> $4::bigint[] AND (SELECT n FROM number) <= $8::bigint
), counted AS MATERIALIZED (
    SELECT {{counted}} AS lines FROM number
), page AS (
    SELECT {_COLUMNS} FROM tally.lines WHERE ctid = ANY (ARRAY(
        SELECT place FROM few
        WHERE {_OF_CAMPAIGN} AND (subject, line) > ($5::bytea, $6::bytea)
        ORDER BY subject, line LIMIT $7
    ))
    UNION ALL
    SELECT * FROM (
        SELECT {_COLUMNS} FROM tally.lines
        WHERE {_OF_CAMPAIGN} AND (subject, line) > ($5::bytea, $6::bytea)
            AND (found_by @> $4::bigint[]) IS TRUE AND (SELECT n FROM number) > $8::bigint
        ORDER BY subject, line LIMIT $7
    ) AS walked
)
SELECT n, lines, page.* FROM number CROSS JOIN counted LEFT JOIN page ON true ORDER BY subject, line
"""  # noqa: S608 - names of columns
