"""The read API: the templates of a campaign, page by page."""

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.agents.view.receipt import entity_tag
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.streams.web.answers import ReceiptShown, TemplateShown
from tally.streams.web.counted import counted
from tally.streams.web.cursors import of_pair, read_pair
from tally.streams.web.endpoints import Endpoint
from tally.streams.web.parameters import CURSOR, limit_parameter, single
from tally.streams.web.responses import json_response, tagged, unchanged

PARAMETERS = (CURSOR, limit_parameter(TEMPLATES_SHOWN.most, TEMPLATES_SHOWN.most))


class TemplatesAnswer(Struct, frozen=True):
    """A page of a campaign's templates, by name and language."""

    tenant: str
    campaign: str
    templates: list[TemplateShown]
    next_cursor: str | None
    receipt: ReceiptShown


class TemplatesView(View):
    """A campaign's templates."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with one page of templates, the cursor of the next one and a receipt."""
        query = {name: request.query.getall(name) for name in request.query}
        cursor, limit = single(query, "cursor"), single(query, "limit")
        after = None if cursor is None else read_pair(cursor)
        queries, tenant, campaign, found, receipt = counted(request, tenant, campaign)
        page = await queries.templates(found, after, int(limit or TEMPLATES_SHOWN.most))
        following = of_pair(page.following)
        tag = entity_tag(receipt, [page.version], cursor, following)
        if response := unchanged(request, tag):
            return response
        body = {
            "tenant": tenant,
            "campaign": campaign,
            "templates": page.shown,
            "next_cursor": following,
            "receipt": receipt.answer(),
        }
        return json_response(body, headers=tagged(tag))


ROUTES = (
    Endpoint(
        "templates",
        "/v1/tenants/{tenant}/campaigns/{campaign}/templates",
        TemplatesView,
        "all templates of a campaign, page by page",
        TemplatesAnswer,
        PARAMETERS,
        also=(304,),
    ),
)
