"""The read API: the lines behind a number of a campaign, page by page."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from aiohttp import web
from faust.web import View
from msgspec import Meta, Struct

from tally.agents.view.answer import rfc_3339
from tally.agents.view.receipt import Receipt
from tally.schemas.counters import API_ORDER, BY_NAME
from tally.schemas.keys import Template, bounded_name, bounded_template
from tally.schemas.places import place_of
from tally.streams.keys.access import Needed
from tally.streams.web.answers import Count, ReceiptShown, TemplateNamed, Time
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import (
    CURSOR,
    BadParameter,
    Name,
    NotTold,
    Parameter,
    limit_parameter,
    read_id,
    single,
)
from tally.streams.web.people import Sight, note_use, sight_of
from tally.streams.web.responses import json_response
from tally.tables.postgres.lines import BEGINNING, Chosen, adds, lines_query
from tally.tables.postgres.moment import Records

MOST, DEFAULT = 1_000, 100
COUNTER = Parameter(
    "counter",
    Annotated[str, Meta(min_length=1, max_length=512, pattern="^[^\\u0000]*$")],
    "a number of the campaign, or an entry of one, as `errors.meta:131026`",
    "a number of campaigns, or an entry of one behind a dot",
    is_required=True,
)
TEXT = "text without U+0000"
FILTERS = (
    COUNTER,
    Parameter("template", Name, "lines of this template alone, by its name", TEXT),
    Parameter("language", Name, "and this language; without, a template that has none", TEXT),
    Parameter("number", Name, "lines of this business number or PBX alone", TEXT),
    Parameter("market", Name, "lines of this market alone", TEXT),
)
PARAMETERS = (*FILTERS, CURSOR, limit_parameter(MOST, DEFAULT))
Json = dict[str, Any]


class EventShown(Struct, frozen=True):
    """The first event of one kind; the raw record that said so may be gone by now."""

    kind: str
    at: Time
    topic: str | None
    partition: int | None
    offset: int | None


class LineOfSubject(Struct, frozen=True):
    """What one part of one subject adds to a row, and who it is."""

    family: Annotated[str, Meta(description="messages, recipients, customers or calls")]
    subject: Annotated[str, Meta(description="the id by which its story is asked for; empty if masked")]
    template: TemplateNamed
    number: str
    market: str
    contact: str
    attempt: str
    message: str
    phone: str
    leg: str
    sent_at: Time
    error: str
    price: str
    events: list[EventShown]


class LineShown(LineOfSubject, frozen=True):
    """What a line adds to the number."""

    adds: int


class LinesAnswer(Struct, frozen=True):
    """A page of the lines behind a number, of one moment of Postgres."""

    tenant: str
    campaign: str
    counter: str
    number: Annotated[Count, Meta(description="what all lines add up to")]
    is_masked: Annotated[bool, Meta(description="phones are masked, and other identifiers are empty")]
    lines: list[LineShown]
    next_cursor: str | None
    receipt: ReceiptShown


class LinesView(View):
    """The lines behind a number of a campaign."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with the number, a page of its lines, and a receipt of what Postgres held."""
        page, receipt = await page_of(request, tenant, campaign, "")
        lines = [page.sight.line(line_shown(page.chosen, one)) for one in page.records]
        return json_response({**page.head, "lines": lines, "receipt": receipt.answer()})


def read_lines(tenant: str, campaign: str, query: Mapping[str, Sequence[str]], counter: str) -> Chosen:
    """Return what is asked for. Raises BadParameter, and NotTold for what is no number of campaigns. Pure."""
    name, dot, entry = counter.partition(".")
    kind = BY_NAME[name].kind if name in BY_NAME else "count"
    if name not in API_ORDER or bool(dot) is (kind == "count") or bool(entry) is not bool(dot):
        raise NotTold(f"counter={counter[:64]} is no number of campaigns, or no entry of one")
    template, language = single(query, "template"), single(query, "language")
    if template is None and language is not None:
        raise BadParameter("language is for template, which is missing")
    named = None if template is None else bounded_template(template, language or "")
    number = single(query, "number")
    number = None if number is None else bounded_name(number)
    chosen = Chosen(tenant, campaign, counter, named, number, single(query, "market"))
    if chosen.grain is None:
        raise NotTold(f"counter={counter[:64]} is not told by template")
    return chosen


class Page(Struct, frozen=True):
    """A page of the lines behind a number."""

    chosen: Chosen
    number: int
    """What all lines add up to."""
    lines: int | None
    """How many they are, as `lines_query` says it."""
    records: Sequence[Any]
    cursor: str | None
    sight: Sight

    @property
    def head(self) -> Json:
        """Return what an answer says beside the page's lines."""
        return {
            "tenant": self.chosen.tenant,
            "campaign": self.chosen.campaign,
            "counter": self.chosen.counter,
            "number": self.number,
            "is_masked": not self.sight.is_whole,
            "next_cursor": self.cursor,
        }


async def page_of(request: web.Request, tenant: str, campaign: str, usual: str) -> tuple[Page, Receipt]:
    """Return the page that a request asks for, of `usual` where it names no counter, and log its use.

    Raises BadParameter, NotTold, PostgresFailure.
    """
    tenant, campaign = read_id("tenant", tenant), read_id("campaign", campaign)
    query = {name: request.query.getall(name) for name in request.query}
    chosen = read_lines(tenant, campaign, query, single(query, COUNTER.name) or usual)
    limit, sight = int(single(query, "limit") or DEFAULT), sight_of(request)
    after = sight.after(query)
    wanted = [lines_query(chosen, after, limit)]
    receipt, (found,) = await request.app[QUERIES].stored(tenant, campaign, lambda _: wanted)
    page = paged(chosen, found, limit, sight)
    if after == BEGINNING:
        check_held(page.number, page.records)
    note_use(request, len(page.records))
    return page, receipt


def paged(chosen: Chosen, found: Records, limit: int, sight: Sight) -> Page:
    """Return what was found as a page, without the one line more. Pure."""
    records = [one for one in found if one["subject"] is not None]
    last = records[limit - 1] if len(records) > limit else None
    cursor = None if last is None else sight.cursor((last["subject"], last["line"]))
    return Page(chosen, found[0]["n"], found[0]["lines"], records[:limit], cursor, sight)


def check_held(number: int, first_page: Sequence[Any]) -> None:
    """Raise NotTold for a number that nobody is behind: then there is no ledger, or not yet. Pure."""
    if number and not first_page:
        raise NotTold("no lines are kept of it: expected TALLY_LEDGER=true, and to have been filled since")


def line_shown(chosen: Chosen, one: Any) -> Json:
    """Return a record of `lines_query` as it is answered to who sees people. Pure."""
    return {"adds": adds(chosen, one["counters"], one["counts"]), **line_of(one)}


def line_of(one: Any) -> Json:
    """Return a record of a line as it is answered to who sees people. Pure."""
    template = Template(one["template_name"], one["template_language"])
    as_they_are = ("number", "market", "contact", "attempt", "message", "phone", "leg", "error", "price")
    return {
        "family": one["family"],
        "subject": one["subject"].hex(),
        "template": {"name": template.name, "language": template.language},
        **{name: one[name] for name in as_they_are},
        "sent_at": rfc_3339(one["at_ms"]),
        "events": [
            _event(*event) for event in zip(one["kinds"], one["kinds_at_ms"], one["places"], strict=True)
        ],
    }


def _event(kind: str, at_ms: int, place: int) -> Json:
    record = place_of(place)
    topic, partition, offset = (None, None, None) if record is None else record
    return {"kind": kind, "at": rfc_3339(at_ms), "topic": topic, "partition": partition, "offset": offset}


ROUTES = (
    Endpoint(
        "campaign_lines",
        "/v1/tenants/{tenant}/campaigns/{campaign}/lines",
        LinesView,
        "who is behind a number of a campaign, line by line, where there is a ledger",
        LinesAnswer,
        PARAMETERS,
        needed=Needed("read", or_scope="recipients"),
        also=(422,),
    ),
)
