"""The read API: the attempts behind a number of a campaign, each with what became of it, page by page."""

from typing import Annotated, Any

from aiohttp import web
from faust.web import View
from msgspec import Meta, Struct, structs

from tally.agents.view.story import counts_of
from tally.streams.keys.access import Needed
from tally.streams.web.answers import Count, ReceiptShown
from tally.streams.web.endpoints import Endpoint
from tally.streams.web.lines import COUNTER, PARAMETERS, LineShown, line_shown, page_of
from tally.streams.web.responses import json_response
from tally.tables.postgres.lines import FEW, Chosen

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
        page, receipt = await page_of(request, tenant, campaign, ALL)
        recipients = [page.sight.line(_recipient(page.chosen, one)) for one in page.records]
        body = {**page.head, "lines": page.lines, "recipients": recipients}
        return json_response({**body, "receipt": receipt.answer()})


def _recipient(chosen: Chosen, one: Any) -> Json:
    return line_shown(chosen, one) | {"counters": counts_of(one["counters"], one["counts"])}


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
