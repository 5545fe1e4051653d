"""The read API: what each campaign of a tenant has sent in the last 24 hours, from Postgres."""

from collections.abc import Sequence
from itertools import islice, takewhile
from typing import Annotated

from aiohttp import web
from faust.web import View
from msgspec import Meta, Struct, field

from tally.agents.clock import unix_ms
from tally.agents.view.answer import Json, rfc_3339
from tally.schemas.bounds import CAMPAIGNS_SHOWN
from tally.schemas.buckets import Bucket
from tally.schemas.cells import QUARTER_SECONDS
from tally.streams.web.answers import Count, ReceiptShown, Time
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import read_id
from tally.streams.web.responses import json_response
from tally.tables.postgres.moment import Query, Records
from tally.tables.postgres.series import instant

HOUR_SECONDS = 3_600
HOURS = 24
SENT = """
SELECT campaign, width_bucket(quarter, $2::timestamptz[]) - 1 AS nth,
    sum(accepted + attempted)::bigint AS sent
FROM tally.activity_sums
WHERE generation = $1 AND tenant = $4 AND campaign = ANY($5::text[])
    AND quarter >= ($2::timestamptz[])[1] AND quarter < $3
GROUP BY 1, 2
"""
"""Messages that the provider took, and attempts that were dialled."""


class CampaignActivity(Struct, frozen=True):
    """How much a campaign sent in each hour, oldest first."""

    campaign: str
    sent: Annotated[list[Count], Meta(min_length=HOURS, max_length=HOURS)]


class ActivityAnswer(Struct, frozen=True):
    """How much each campaign sent in the last 24 hours."""

    tenant: str
    from_: Time = field(name="from")
    to: Time
    campaigns: list[CampaignActivity]
    receipt: ReceiptShown


class ActivityView(View):
    """How much each campaign sends, hour by hour."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with 24 numbers of each campaign of the last 24 hours, of the newest 500."""
        queries, tenant = request.app[QUERIES], read_id("tenant", tenant)
        hours = last_hours(unix_ms() // 1000)
        await queries.in_pieces(queries.view.narrowing(tenant))
        since_ms = hours[0].from_s * 1000
        active = takewhile(lambda one: one.last_ms >= since_ms, queries.view.recent(tenant))
        campaigns = [one.campaign for one in islice(active, CAMPAIGNS_SHOWN.most)]
        query = Query(
            SENT, ([instant(one.from_s) for one in hours], instant(hours[-1].to_s), tenant, campaigns)
        )
        receipt, (found,) = await queries.stored(tenant, "", lambda _: [query])
        body = answered(campaigns, hours, found)
        return json_response({"tenant": tenant, **body, "receipt": receipt.answer()})


def last_hours(now_s: int) -> tuple[Bucket, ...]:
    """Return the last 24 hours, in whole quarter hours: the present one is the last of them. Pure."""
    end_s = now_s - now_s % QUARTER_SECONDS + QUARTER_SECONDS
    begin_s = end_s - HOURS * HOUR_SECONDS
    return tuple(Bucket(at_s, at_s + HOUR_SECONDS) for at_s in range(begin_s, end_s, HOUR_SECONDS))


def answered(campaigns: Sequence[str], hours: Sequence[Bucket], found: Records) -> Json:
    """Return the body of an answer, without tenant and receipt; hours without a send are 0. Pure."""
    sent = {campaign: [0] * len(hours) for campaign in campaigns}
    for one in found:
        sent[one["campaign"]][one["nth"]] = one["sent"]
    return {
        "from": rfc_3339(hours[0].from_s * 1000),
        "to": rfc_3339(hours[-1].to_s * 1000),
        "campaigns": [{"campaign": campaign, "sent": counts} for campaign, counts in sent.items()],
    }


ROUTES = (
    Endpoint(
        "activity",
        "/v1/tenants/{tenant}/activity",
        ActivityView,
        "how much each campaign has sent in each of the last 24 hours",
        ActivityAnswer,
    ),
)
