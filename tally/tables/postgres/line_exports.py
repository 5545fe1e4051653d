"""The lines behind a number as a file, in SQL: CSV for spreadsheets, NDJSON for programs. Pure.

Postgres writes each line whole, so that a million of them pass through this process as bytes. They come in
the order of the table: any other would sort a campaign before the first byte.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from tally.schemas.counters import DERIVED_BY_NAME
from tally.schemas.places import PLACED_TOPICS
from tally.tables.postgres.lines import FEW, Chosen
from tally.tables.postgres.moment import Query

FormName = Literal["csv", "ndjson"]


class Form(Struct, frozen=True):
    """A form of files."""

    name: FormName
    media_type: str
    copied_as: Mapping[str, Any]
    """Options of COPY."""
    line: str
    """SQL of a line, from its record and `adds`."""


def export_query(chosen: Chosen, number: int, form: Form) -> Query:
    """Return the query of all lines of a number as a file's lines; its arguments are texts.

    As for pages, few lines are found by what they say, and many by a walk through the campaign.
    """
    items = "{" + ",".join(map(str, chosen.items)) + "}"
    arguments = [chosen.tenant, chosen.campaign, items]
    adds = _adds(chosen, arguments)
    return Query((_FEW if number <= FEW else _MANY).format(adds=adds, line=form.line), arguments)


def _adds(chosen: Chosen, arguments: list[str]) -> str:
    """Return the SQL of what a line adds to the number, as `lines.adds` says it."""
    derived = DERIVED_BY_NAME.get(chosen.counter)
    if derived is None:
        return _count(chosen.counter, arguments)
    plus = "".join(f" + {_count(name, arguments)}" for name in derived.plus)
    return "0" + plus + "".join(f" - {_count(name, arguments)}" for name in derived.minus)


def _count(counter: str, arguments: list[str]) -> str:
    arguments.append(counter)
    name = f"${len(arguments) + 1}::text"
    nth = f"array_position(counters, {name})"
    return f"CASE WHEN {name} = ANY (counters) THEN coalesce(counts[{nth}], 1) ELSE 0 END"


_FEW = """
WITH few AS MATERIALIZED (
    SELECT * FROM tally.lines WHERE found_by @> $4::bigint[]
), chosen AS (
    SELECT *, {adds} AS adds FROM few WHERE generation = $1::bigint AND tenant = $2 AND campaign = $3
) SELECT {line} FROM chosen
"""
_MANY = """
WITH chosen AS (
    SELECT *, {adds} AS adds FROM tally.lines
    WHERE generation = $1::bigint AND tenant = $2 AND campaign = $3 AND (found_by @> $4::bigint[]) IS TRUE
) SELECT {line} FROM chosen
"""


def _time(at_ms: str) -> str:
    """Return the SQL of Unix milliseconds in RFC 3339, in UTC."""
    return (
        f"to_char(timestamp '1970-01-01' + {at_ms} * interval '1 millisecond',"
        """ 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    )


_TOPIC = " ".join(f"WHEN {number} THEN '{topic}'" for topic, number in PLACED_TOPICS.items())
_EVENTS = f"""
array_to_json(ARRAY(SELECT row_to_json(event) FROM (
    SELECT kind, {_time("kind_at_ms")} AS at, CASE place >> 60 {_TOPIC} END AS topic,
        CASE WHEN place <> 0 THEN place >> 44 & 65535 END AS partition,
        CASE WHEN place <> 0 THEN place & 17592186044415 END AS "offset"
    FROM unnest(kinds, kinds_at_ms, places) AS each (kind, kind_at_ms, place)
) AS event))
"""  # noqa: S608 - names of topics
_TEXTS = ("number", "market", "contact", "attempt", "message", "phone", "leg", "error", "price")


def _cell(column: str) -> str:
    """Return the SQL of a text that a spreadsheet takes for no formula: a tab comes before one that could be.

    A phone as E.164 writes it stays as it is. Whoever takes one tab from each cell that begins with one has
    the texts again.
    """
    begins = f"ascii({column}) IN (9, 10, 13, 43, 45, 61, 64)"
    return f"CASE WHEN {begins} AND {column} !~ '^\\+[0-9]{{6,15}}$' THEN E'\\t' ELSE '' END || {column}"


def _cells(*columns: str) -> str:
    return ", ".join(f"{_cell(column)} AS {column}" for column in columns)


_SUBJECT = "encode(subject, 'hex') AS subject"
_FIRST, _LAST = _TEXTS[:-2], _TEXTS[-2:]
CSV = Form(
    "csv",
    "text/csv",
    # All texts in quotes: in countries where a semicolon ends a cell, one could begin within a text.
    {"format": "csv", "header": True, "force_quote": ["template_name", "template_language", *_TEXTS]},
    f"adds, family, {_SUBJECT}, {_cells('template_name', 'template_language', *_FIRST)},"
    f" {_time('at_ms')} AS sent_at, {_cells(*_LAST)}, {_EVENTS} AS events",
)
NDJSON = Form(
    "ndjson",
    "application/x-ndjson",
    # In the text format a backslash is doubled; as CSV with characters that JSON has not, it stays.
    {"format": "csv", "delimiter": "\x02", "quote": "\x01"},
    f"""
(SELECT row_to_json(shown) FROM (
    SELECT adds, family, {_SUBJECT}, (
        SELECT row_to_json(named) FROM (SELECT template_name AS name, template_language AS language) AS named
    ) AS template, {", ".join(_FIRST)}, {_time("at_ms")} AS sent_at, {", ".join(_LAST)}, {_EVENTS} AS events
) AS shown)
""",  # noqa: S608 - names of columns
)
