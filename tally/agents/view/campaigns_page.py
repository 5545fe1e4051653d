"""Pages of a tenant's campaigns, newest activity first."""

from collections.abc import Iterable
from itertools import islice, takewhile
from typing import NamedTuple

from msgspec import Struct

from tally.agents.view.campaign import Campaign
from tally.agents.view.model import View
from tally.agents.view.recent import Rank
from tally.schemas.bounds import CAMPAIGNS_SHOWN
from tally.tables.pieces import Steps


class CampaignsQuery(Struct, frozen=True):
    """Which campaigns are asked for; an empty set means all."""

    after: Rank | None = None
    """The campaign after which the page begins."""
    since_ms: int = 0
    """Without activity since then a campaign is on no page."""
    ids: frozenset[str] = frozenset()
    limit: int = CAMPAIGNS_SHOWN.most


class CampaignsPage(NamedTuple):
    """A page of campaigns, and the campaign after which the next page begins."""

    shown: list[Campaign]
    following: Rank | None


def campaigns_page(view: View, tenant: str, query: CampaignsQuery) -> Steps[CampaignsPage]:
    """Return a page of a tenant's campaigns.

    A campaign that becomes active between two requests moves to the first page.
    """
    yield from view.narrowing(tenant)
    ids, after = query.ids, query.after
    campaigns = _chosen(view, tenant, ids, after) if ids else view.recent(tenant, after)
    active = takewhile(lambda campaign: campaign.last_ms >= query.since_ms, campaigns)
    found = list(islice(active, query.limit + 1))
    shown = found[: query.limit]
    return CampaignsPage(shown, _rank(shown[-1]) if len(found) > query.limit else None)


def _chosen(view: View, tenant: str, ids: Iterable[str], after: Rank | None) -> list[Campaign]:
    found = [campaign for name in ids if (campaign := view.find(tenant, name))]
    return sorted((c for c in found if after is None or _rank(c) > after), key=_rank)


def _rank(campaign: Campaign) -> Rank:
    return Rank(-campaign.last_ms, campaign.campaign)
