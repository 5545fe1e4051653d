"""The read API: one campaign, and the list of a tenant's campaigns."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from faust.web import View

from tally.agents.view.campaign import Campaign
from tally.agents.view.reader import entity_tag
from tally.streams.web.bodies import json_response, tagged, unchanged
from tally.streams.web.errors import error_response
from tally.streams.web.parameters import read_id, read_list_query, write_cursor
from tally.streams.web.site import READER

CAMPAIGNS_AT_ONCE = 5
"""Summing a campaign takes up to a millisecond or two; events are counted between a few of them."""


class CampaignView(View):
    """GET /v1/tenants/{tenant}/campaigns/{campaign}: all numbers of one campaign."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with totals, rates, templates and a receipt; 404 where nothing is counted."""
        reader = request.app[READER]
        tenant, campaign = read_id("tenant", tenant), read_id("campaign", campaign)
        receipt = reader.receipt()
        found = reader.campaign(tenant, campaign)
        if found is None:
            return error_response(
                404, "unknown_campaign", "nothing is counted for this campaign", receipt=receipt.answer()
            )
        tag = entity_tag(receipt, [found])
        return unchanged(request, tag) or json_response(
            {**reader.answer(found), "receipt": receipt.answer()}, headers=tagged(tag)
        )


class CampaignsView(View):
    """GET /v1/tenants/{tenant}/campaigns: campaigns with totals and rates, newest activity first."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with one page of campaigns, the cursor of the next one and a receipt."""
        reader = request.app[READER]
        tenant = read_id("tenant", tenant)
        query = read_list_query({name: request.query.getall(name) for name in request.query})
        receipt = reader.receipt()
        found, following = reader.page(tenant, query.after, query.since_ms, query.ids, query.limit)
        cursor = write_cursor(following)
        async for campaign in _side_by_side(found):
            _ = campaign.version  # kept by the campaign, so that the tag of all is quick to make
        tag = entity_tag(receipt, found, tenant, cursor)
        if response := unchanged(request, tag):
            return response
        # Later than the tag: an answer may be newer than its tag says, never older.
        campaigns = [reader.summary(campaign) async for campaign in _side_by_side(found)]
        body = {"tenant": tenant, "campaigns": campaigns, "next_cursor": cursor, "receipt": receipt.answer()}
        return json_response(body, headers=tagged(tag))


async def _side_by_side(campaigns: list[Campaign]) -> AsyncIterator[Campaign]:
    """Yield campaigns and give way to the other tasks of the loop between a few of them."""
    for index, campaign in enumerate(campaigns, start=1):
        yield campaign
        if index % CAMPAIGNS_AT_ONCE == 0:
            await asyncio.sleep(0)
