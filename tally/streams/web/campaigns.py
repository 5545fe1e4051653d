"""The read API: one campaign, and the list of a tenant's campaigns."""

import orjson
from aiohttp import web
from faust.web import View
from msgspec import UNSET, Struct, UnsetType

from tally.agents.view.receipt import entity_tag
from tally.streams.web.answers import Described, OtherTemplates, ReceiptShown, TemplateShown, Time
from tally.streams.web.campaign_list import PARAMETERS, read_list_query
from tally.streams.web.counted import counted
from tally.streams.web.cursors import of_campaign
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import read_id
from tally.streams.web.progress import ProgressAnswer, ProgressView
from tally.streams.web.responses import json_response, tagged, unchanged, with_receipt


class CampaignAnswer(Described, frozen=True, kw_only=True):
    """All numbers of one campaign."""

    tenant: str
    templates: list[TemplateShown]
    templates_more: OtherTemplates | UnsetType = UNSET
    receipt: ReceiptShown


class CampaignShown(Described, frozen=True, kw_only=True):
    """A campaign in a list."""

    first_activity: Time
    last_activity: Time


class CampaignsAnswer(Struct, frozen=True):
    """A page of a tenant's campaigns, newest activity first."""

    tenant: str
    campaigns: list[CampaignShown]
    next_cursor: str | None
    receipt: ReceiptShown


class CampaignView(View):
    """All numbers of one campaign."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with totals, rates, templates and a receipt; 404 if nothing is counted."""
        queries, _, _, found, receipt = counted(request, tenant, campaign)
        version = await queries.version(found)
        if response := unchanged(request, entity_tag(receipt, [version])):
            return response
        answer = queries.kept(found, version)
        if answer is None:
            version, answer = await queries.answer(found)
        return with_receipt(answer, receipt.answer(), tagged(entity_tag(receipt, [version])))


class CampaignsView(View):
    """A tenant's campaigns with totals and rates, newest activity first."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with one page of campaigns, the cursor of the next one and a receipt."""
        queries = request.app[QUERIES]
        tenant = read_id("tenant", tenant)
        query = read_list_query({name: request.query.getall(name) for name in request.query})
        receipt = queries.freshness.receipt(tenant)
        found, following = await queries.campaigns(tenant, query)
        cursor = of_campaign(following)
        shown = await queries.summaries(found)
        tag = entity_tag(receipt, [one.version for one in shown], tenant, cursor)
        if response := unchanged(request, tag):
            return response
        body = {
            "tenant": tenant,
            "campaigns": [orjson.Fragment(one.entry) for one in shown],
            "next_cursor": cursor,
            "receipt": receipt.answer(),
        }
        return json_response(body, headers=tagged(tag))


ROUTES = (
    Endpoint(
        "campaign",
        "/v1/tenants/{tenant}/campaigns/{campaign}",
        CampaignView,
        "all numbers of one campaign, and of its templates",
        CampaignAnswer,
        also=(304,),
    ),
    Endpoint(
        "progress",
        "/v1/tenants/{tenant}/campaigns/{campaign}/progress",
        ProgressView,
        "sent, failed, rates of the last 10 seconds and minute, what is left, and when it will be done",
        ProgressAnswer,
    ),
    Endpoint(
        "campaigns",
        "/v1/tenants/{tenant}/campaigns",
        CampaignsView,
        "campaigns with totals and rates, newest activity first",
        CampaignsAnswer,
        PARAMETERS,
        also=(304,),
    ),
)
