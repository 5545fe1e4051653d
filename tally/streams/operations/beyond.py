"""How much of a deployment lies beyond each bound, as far as it can be known."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from tally.schemas import bounds
from tally.schemas.bounds import BOUNDS
from tally.streams.operations.incomplete import Line


class Known(Struct, frozen=True):
    """The source that shows how much lies beyond a bound, and the unit counted there."""

    where: str
    of: str


LETTERS, ROWS, MISSING, CUSTOMERS = "dead letters", "rows in Postgres", "what is missing", "customers"

APART = (bounds.IDENTIFIER_LINKS, bounds.IDENTIFIER_MESSAGES)

KNOWN: Mapping[str, Known] = {
    **{
        bound.name: Known(MISSING, "subjects")
        for bound in BOUNDS
        if bound.kind == "state" and bound not in APART
    },
    bounds.RECORD.name: Known(LETTERS, "raw records"),
    bounds.BATCH.name: Known(LETTERS, "batches"),
    bounds.ELEMENTS.name: Known(LETTERS, "raw records"),
    bounds.PACKET_LINES.name: Known(LETTERS, "raw records"),
    bounds.BAD_PARTS.name: Known(LETTERS, "raw records"),
    bounds.LETTER_END.name: Known(LETTERS, "dead letters"),
    bounds.LETTER_KEY.name: Known(LETTERS, "dead letters"),
    bounds.TEMPLATE.name: Known(ROWS, "names"),
    bounds.QUEUE_NAME.name: Known(ROWS, "names"),
    bounds.TEMPLATES_SHOWN.name: Known(ROWS, "campaigns"),
    bounds.CAMPAIGNS_SHOWN.name: Known(ROWS, "tenants"),
    bounds.OPERATORS_SHOWN.name: Known(ROWS, "tenants"),
    bounds.IDENTIFIER_LINKS.name: Known(CUSTOMERS, "identifiers"),
}

NOT_KNOWN: Mapping[str, str] = {
    bounds.BATCH_RECORDS.name: "its dead letter is that of `batch`",
    bounds.IDENTIFIER_MESSAGES.name: "why an identifier identifies nobody is not kept: `identifier_links`",
    bounds.HEADERS.name: "headers are not kept",
    bounds.OPERATOR_TEXT.name: "what is cut off leaves no trace",
    bounds.QUEUES_SHOWN.name: "queues are entries of rows, and the next page has the others",
    bounds.NUMBERS_SHOWN.name: "business numbers are columns of cells, and the next page has the others",
    bounds.REMEMBERED_LINKS.name: "it is in a process's memory, and changes no number",
}
"""Bounds without a separate count, and the reason."""

OF_ROWS = """
SELECT
    (SELECT count(*) FROM (
        SELECT FROM tally.counters WHERE generation = $1 AND grain = 'template'
        GROUP BY tenant, campaign HAVING count(DISTINCT (template_name, template_language)) > $2
    ) AS campaigns) AS templates_shown,
    (SELECT count(*) FROM (
        SELECT FROM tally.counters WHERE generation = $1 AND campaign <> ''
        GROUP BY tenant HAVING count(DISTINCT campaign) > $3
    ) AS tenants) AS campaigns_shown,
    (SELECT count(*) FROM (
        SELECT FROM tally.counters WHERE generation = $1 AND grain = 'operator'
        GROUP BY tenant HAVING count(DISTINCT (template_name, template_language)) > $4
    ) AS tenants) AS operators_shown,
    (SELECT count(DISTINCT name) FROM tally.counters, unnest(ARRAY[template_name, template_language]) AS name
        WHERE generation = $1 AND campaign <> '' AND name ~ '^.{55}~[0-9a-f]{32}$'
    ) AS template,
    (SELECT count(DISTINCT split_part(entry, '/', 1)) FROM tally.counters, jsonb_object_keys(queues) AS entry
        WHERE generation = $1 AND queues <> '{}' AND entry ~ '^sha256:[0-9a-f]{32}/'
    ) AS queue_name
"""
"""Query with one column a bound; its parameters are the generation and the three bounds of answers."""


async def of_rows(connection: Any, generation: int) -> dict[str, int]:
    """Return how much of Postgres's rows lies beyond each bound.

    Raises asyncpg.PostgresError, TimeoutError.
    """
    shown = (bounds.TEMPLATES_SHOWN, bounds.CAMPAIGNS_SHOWN, bounds.OPERATORS_SHOWN)
    return dict(await connection.fetchrow(OF_ROWS, generation, *(bound.most for bound in shown)))


def of_lines(lines: Iterable[Line]) -> Counter[str]:
    """Return how many subjects each bound leaves incomplete, acknowledged or not. Pure."""
    found: Counter[str] = Counter()
    for line in lines:
        if line.kind in bounds.BY_NAME:
            found[line.kind] += line.count
    return found


def line_of(beyond: Mapping[str, int]) -> str:
    """Return one line that lists what lies beyond bounds, in the registry's order. Pure."""
    shown = [
        f"{bound.name}: {beyond[bound.name]} {KNOWN[bound.name].of}"
        for bound in BOUNDS
        if beyond.get(bound.name)
    ]
    return ", ".join(shown) or "nothing"
