"""The campaign that an address names, if anything of it is counted."""

from typing import NamedTuple

from aiohttp import web

from tally.agents.view.campaign import Campaign
from tally.agents.view.queries import Queries
from tally.agents.view.receipt import Receipt
from tally.streams.web.endpoints import QUERIES
from tally.streams.web.parameters import NotCounted, read_id


class Counted(NamedTuple):
    """A campaign of which something is counted, with its receipt of the moment before it was looked for."""

    queries: Queries
    tenant: str
    campaign: str
    """Its id, as it is counted."""
    found: Campaign
    receipt: Receipt


def counted(request: web.Request, tenant: str, campaign: str) -> Counted:
    """Return the campaign that a request is for. Raises BadParameter, NotCounted.

    The receipt is read first: an answer may be newer than its receipt and tag say, never older.
    """
    queries = request.app[QUERIES]
    tenant, campaign = read_id("tenant", tenant), read_id("campaign", campaign)
    receipt = queries.freshness.receipt(tenant, campaign)
    found = queries.campaign(tenant, campaign)
    if found is None:
        raise NotCounted(receipt.answer())
    return Counted(queries, tenant, campaign, found, receipt)
