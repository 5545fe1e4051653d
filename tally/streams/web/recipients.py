"""The read API: the attempts behind a number of a campaign, each with what became of it, page by page."""

from typing import Annotated, Any

from aiohttp import web
from faust.web import View
from msgspec import Meta, Struct, structs

from tally.streams.keys.access import Needed
from tally.streams.web.answers import Count, ReceiptShown
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.lines import (
    COUNTER,
    DEFAULT,
    PARAMETERS,
    LineShown,
    check_held,
    line_shown,
    read_lines,
)
from tally.streams.web.parameters import read_id, single
from tally.streams.web.people import Sight, note_use, sight_of
from tally.streams.web.responses import json_response
from tally.tables.postgres.lines import BEGINNING, FEW, Chosen, lines_query
from tally.tables.postgres.moment import Records

ALL = "attempts"
"""The number whose lines are all attempts."""
Json = dict[str, Any]


class RecipientShown(LineShown, frozen=True):
    """An attempt behind the number, and all that is counted of it there."""

    counters: Annotated[
        dict[str, int],
        Meta(description="what its message, its call or its send results count, by the names of counters"),
    ]


class RecipientsAnswer(Struct, frozen=True):
    """A page of the attempts behind a number, of one moment of Postgres."""

    tenant: str
    campaign: str
    counter: str
    number: Annotated[Count, Meta(description="what all lines add up to")]
    lines: Annotated[
        int | None,
        Meta(description=f"how many lines that are; null if more than {FEW} lines may add more than 1 each"),
    ]
    is_masked: Annotated[bool, Meta(description="phones are masked, and other identifiers are empty")]
    recipients: list[RecipientShown]
    next_cursor: str | None
    receipt: ReceiptShown


class RecipientsView(View):
    """The attempts behind a number of a campaign."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with the number, how many lines it has, a page of them, and a receipt."""
        tenant, campaign = read_id("tenant", tenant), read_id("campaign", campaign)
        query = {name: request.query.getall(name) for name in request.query}
        chosen = read_lines(tenant, campaign, query, single(query, COUNTER.name) or ALL)
        limit, sight = int(single(query, "limit") or DEFAULT), sight_of(request)
        after = sight.after(query)
        wanted = [lines_query(chosen, after, limit)]
        receipt, (found,) = await request.app[QUERIES].stored(tenant, campaign, lambda _: wanted)
        body = answered(chosen, found, limit, sight)
        if after == BEGINNING:
            check_held(body["number"], body["recipients"])
        note_use(request, len(body["recipients"]))
        return json_response({**body, "receipt": receipt.answer()})


def answered(chosen: Chosen, found: Records, limit: int, sight: Sight) -> Json:
    """Return the body of an answer, without the receipt. Pure."""
    records = [one for one in found if one["subject"] is not None]
    last = records[limit - 1] if len(records) > limit else None
    return {
        "tenant": chosen.tenant,
        "campaign": chosen.campaign,
        "counter": chosen.counter,
        "number": found[0]["n"],
        "lines": found[0]["lines"],
        "is_masked": not sight.is_whole,
        "recipients": [sight.line(_recipient(chosen, one)) for one in records[:limit]],
        "next_cursor": None if last is None else sight.cursor((last["subject"], last["line"])),
    }


def _recipient(chosen: Chosen, one: Any) -> Json:
    counters = one["counters"]
    counts = one["counts"] or [1] * len(counters)
    return line_shown(chosen, one) | {"counters": dict(zip(counters, counts, strict=True))}


ROUTES = (
    Endpoint(
        "campaign_recipients",
        "/v1/tenants/{tenant}/campaigns/{campaign}/recipients",
        RecipientsView,
        "the attempts behind a number of a campaign, all if none is named, with what became of each",
        RecipientsAnswer,
        (
            structs.replace(COUNTER, is_required=False, says=f"{COUNTER.says}; {ALL} if not given"),
            *PARAMETERS[1:],
        ),
        needed=Needed("read", or_scope="recipients"),
        also=(422,),
    ),
)
