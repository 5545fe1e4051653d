"""The read API: where one campaign stands, how fast it goes, and when it will be done."""

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.streams.web.answers import Count, ReceiptShown, Time
from tally.streams.web.counted import counted
from tally.streams.web.responses import json_response


class ProgressAnswer(Struct, frozen=True):
    """Where one campaign stands."""

    tenant: str
    campaign: str
    name: str
    status: str
    planned: int | None
    sent: Count
    failed: Count
    done: Count
    left: Count | None
    per_second_10s: float | None
    per_second_1m: float | None
    elapsed_seconds: float
    left_seconds: float | None
    first_activity: Time
    last_activity: Time
    may_change_until: Time | None
    receipt: ReceiptShown


class ProgressView(View):
    """Where one campaign stands."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with what was sent and failed, rates, what is left and a receipt; 404 if nothing is counted.

        There is no tag: rates change with the clock.
        """
        queries, tenant, campaign, found, receipt = counted(request, tenant, campaign)
        progress = await queries.progress(found)
        return json_response(
            {"tenant": tenant, "campaign": campaign, **progress, "receipt": receipt.answer()}
        )
