"""The read API: how far a campaign's messages had come at each age, beside the campaigns before it."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.agents.view.answer import share
from tally.agents.view.receipt import Receipt
from tally.streams.web.answers import Count, ReceiptShown
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import read_id
from tally.streams.web.responses import json_response
from tally.tables.durations import AGES
from tally.tables.postgres import same_age
from tally.tables.postgres.moment import Query
from tally.tables.postgres.same_age import Age

BAND = (25, 50, 75)
"""Percentiles of campaigns: the quartiles and the median."""
TOLD = ("delivered", "read")
Json = dict[str, Any]


class Band(Struct, frozen=True):
    """Quartiles of a share over campaigns; null where there are none."""

    p25: float | None
    p50: float | None
    p75: float | None


class Earlier(Struct, frozen=True):
    """The campaigns before, at one age."""

    campaigns: Count
    delivered_share: Band
    read_share: Band


class AtAge(Struct, frozen=True):
    """How far messages had come at an age."""

    age_seconds: Count
    accepted: Count
    delivered: Count
    read: Count
    delivered_share: float | None
    read_share: float | None
    earlier: Earlier


class SameAgeAnswer(Struct, frozen=True):
    """How far a campaign's messages had come at each age, beside the campaigns before it."""

    tenant: str
    campaign: str
    ages: list[AtAge]
    earlier: list[str]
    receipt: ReceiptShown


class SameAgeView(View):
    """How far a campaign's messages had come at each age, beside the tenant's campaigns before it."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with shares by age, the quartiles of campaigns before it, and a receipt."""
        tenant, campaign = read_id("tenant", tenant), read_id("campaign", campaign)

        def queries(receipt: Receipt) -> Sequence[Query]:
            # Until it is known which moment Postgres holds no message is known to be old enough.
            as_of_ms = receipt.as_of_ms
            return () if as_of_ms is None else (same_age.query(tenant, campaign, as_of_ms),)

        receipt, found = await request.app[QUERIES].stored(tenant, campaign, queries)
        body = answered(campaign, same_age.ages(found[0]) if found else {})
        return json_response({"tenant": tenant, "campaign": campaign, **body, "receipt": receipt.answer()})


def answered(campaign: str, found: Mapping[str, Sequence[Age]]) -> Json:
    """Return the body of an answer, without names and receipt. Pure."""
    nothing = [Age() for _ in AGES]
    others = [ages for name, ages in sorted(found.items()) if name != campaign]
    shown = []
    for nth, (seconds, age) in enumerate(zip(AGES, found.get(campaign, nothing), strict=True)):
        before = [ages[nth] for ages in others if ages[nth].accepted]
        shares = {f"{name}_share": share(getattr(age, name), age.accepted) for name in TOLD}
        bands = {f"{name}_share": _band(before, name) for name in TOLD}
        counts = {"accepted": age.accepted, "delivered": age.delivered, "read": age.read}
        shown.append(
            {"age_seconds": seconds, **counts, **shares, "earlier": {"campaigns": len(before), **bands}}
        )
    return {"ages": shown, "earlier": sorted(name for name in found if name != campaign)}


def _band(ages: Sequence[Age], name: str) -> Json:
    """Return the quartiles of a share over campaigns, by nearest rank; None where there are none."""
    ordered = sorted(ages, key=lambda age: Fraction(getattr(age, name), age.accepted))
    ranks = {percent: -(-len(ages) * percent // 100) for percent in BAND}
    return {
        f"p{percent}": share(getattr(ordered[rank - 1], name), ordered[rank - 1].accepted) if rank else None
        for percent, rank in ranks.items()
    }


ROUTES = (
    Endpoint(
        "campaign_same_age",
        "/v1/tenants/{tenant}/campaigns/{campaign}/same-age",
        SameAgeView,
        "shares delivered and read by age since accepted, beside those of the campaigns before it",
        SameAgeAnswer,
    ),
)
