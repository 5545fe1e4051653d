"""What a stream shows, and how that is looked at once for all of its viewers."""

import orjson
from msgspec import Struct

from tally.agents.view.answer import Json
from tally.agents.view.campaigns_page import CampaignsQuery
from tally.agents.view.frames import Contents, Entry, Key, Part
from tally.agents.view.operators_page import OperatorsQuery
from tally.agents.view.queries import Queries
from tally.agents.view.queues import QueuesQuery

Entries = dict[Key, Entry]


class Watched(Struct, frozen=True):
    """What a stream shows; all viewers of equal ones share their frames."""

    tenant: str
    campaign: str | None = None
    campaigns: bool = False
    operators: bool = False
    queues: tuple[int, ...] = ()
    """The thresholds of the queues' service levels, in seconds; without one queues are not shown."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The members of its frames; without one there are receipts alone."""
        shown: dict[Part, bool] = {
            "campaign": self.campaign is not None,
            "campaigns": self.campaigns,
            "operators": self.operators,
            "queues": bool(self.queues),
        }
        return tuple(part for part, is_shown in shown.items() if is_shown)

    @property
    def of_campaign(self) -> str | None:
        """The campaign of which its receipts speak; None where they are of the whole tenant."""
        return self.campaign if self.parts == ("campaign",) else None


async def contents_of(queries: Queries, watched: Watched) -> Contents:
    """Return all that is watched, as it is now."""
    entries, more, progress = Entries(), dict[Part, bool](), None
    receipt = queries.freshness.receipt(watched.tenant, watched.of_campaign)
    held = queries.freshness.held()
    is_whole = queries.view.ready_partitions == queries.view.partitions
    if watched.campaign is not None:
        found, progress = await _campaign(queries, watched.tenant, watched.campaign)
        entries |= found
    if watched.campaigns:
        found, more["campaigns"] = await _campaigns(queries, watched.tenant)
        entries |= found
    if watched.operators:
        found, more["operators"] = await _operators(queries, watched.tenant)
        entries |= found
    if watched.queues:
        page = await queries.queues(watched.tenant, QueuesQuery(watched.queues))
        entries |= _queues(page.shown)
        more["queues"] = page.following is not None
    return Contents(entries, held, queries.freshness.reached(), is_whole, receipt.answer(), more, progress)


async def _campaign(queries: Queries, tenant: str, campaign: str) -> tuple[Entries, Json | None]:
    found = queries.campaign(tenant, campaign)
    if found is None:
        return {}, None
    progress = await queries.progress(found)
    version = await queries.version(found)
    answer = queries.kept(found, version)
    if answer is None:
        version, answer = await queries.answer(found)
    return {Key("campaign", (campaign,)): Entry(version, answer)}, progress


async def _campaigns(queries: Queries, tenant: str) -> tuple[Entries, bool]:
    campaigns, following = await queries.campaigns(tenant, CampaignsQuery())
    shown = await queries.summaries(campaigns)
    entries = {
        Key("campaigns", (campaign.campaign,)): Entry(summary.version, summary.entry)
        for campaign, summary in zip(campaigns, shown, strict=True)
    }
    return entries, following is not None


async def _operators(queries: Queries, tenant: str) -> tuple[Entries, bool]:
    page = await queries.operators(tenant, OperatorsQuery())
    # The version is the entry, not that of its rows: a wrap-up ends by the clock, without a change of a row.
    entries = {
        Key("operators", (name.name, name.language)): Entry(entry, entry) for name, entry in page.shown
    }
    return entries, page.following is not None


def _queues(shown: list[Json]) -> Entries:
    """Return queues by name, without how long the first caller has waited: that grows by the clock."""
    entries = Entries()
    for queue in shown:
        entry = orjson.dumps({name: value for name, value in queue.items() if name != "longest_wait_ms"})
        entries[Key("queues", (queue["queue"],))] = Entry(entry, entry)
    return entries
