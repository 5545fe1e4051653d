"""The read API: what delivered messages cost, by the rate cards in Postgres."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, cast

from aiohttp import web
from faust.web import View
from msgspec import UNSET, Meta, Struct, UnsetType, field, structs

from tally.agents.view.queries import Queries
from tally.schemas.buckets import zone_of
from tally.schemas.numbers import Number
from tally.schemas.rates.bill import Delivered, Line, Sum, by_group, by_line, total
from tally.schemas.rates.card import Card
from tally.schemas.rates.pricing import Cost, shown
from tally.schemas.rates.reading import FIRST_DAY, LAST_DAY
from tally.streams.web.answers import Count, ReceiptShown, TemplateNamed
from tally.streams.web.counted import counted
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import BadParameter, NotTold, Parameter, read_id, single
from tally.streams.web.responses import json_response
from tally.tables.postgres import costs, rates
from tally.tables.postgres.costs import Asked, GroupBy, TooManySums, Zones

Json = dict[str, Any]
UNTOLD = 422
DAY = Annotated[str, Meta(extra_json_schema={"format": "date"})]
DAY_EXPECTED = "a date from 2009 on, such as 2026-10-01: rates hold for days"
PARAMETERS = (
    Parameter(
        "currency",
        Annotated[str, Meta(pattern="^[A-Z]{3}$")],
        "the currency of the rates; the only one that there are rates in, if not given",
        "three capital letters, such as USD",
    ),
    Parameter("timezone", str, "the account's zone; that of each number's account, else UTC", "an IANA name"),
    Parameter("from", DAY, "the first day of sends, in the account's zone", DAY_EXPECTED),
    Parameter("to", DAY, "the last day of sends", DAY_EXPECTED),
    Parameter("group_by", GroupBy, "what the cost is divided by; campaigns only of a tenant"),
)


class RateNamed(Struct, frozen=True):
    """A line of a bill; what is free or unpriced has no rate, what has no price no category."""

    market: str
    category: str
    type: str
    effective_from: DAY | None
    micros: Count | None


class CostShown(Struct, frozen=True, kw_only=True):
    """What messages cost: exactly `cost_micros`, in millionths of the currency."""

    cost: Annotated[str, Meta(description="a decimal number", examples=["0.0625"])]
    cost_micros: Count
    priced: Count
    free: Count
    unpriced: Annotated[int, Meta(ge=0, description="messages that may cost something, nobody knows what")]


class CostOfSends(CostShown, frozen=True, kw_only=True):
    """What messages cost, and what became of them; delivered = priced + free + unpriced."""

    delivered: Count
    read: Count
    replied: Count
    micros_per_delivered: Count | None
    micros_per_read: Count | None
    micros_per_replied: Count | None


class CostGroup(CostShown, frozen=True, kw_only=True):
    """The cost of one group, under the name of what it is divided by; of a rate nothing else is known."""

    template: TemplateNamed | UnsetType = UNSET
    number: str | UnsetType = UNSET
    market: str | UnsetType = UNSET
    campaign: str | UnsetType = UNSET
    rate: RateNamed | UnsetType = UNSET
    delivered: Count | UnsetType = UNSET
    read: Count | UnsetType = UNSET
    replied: Count | UnsetType = UNSET
    micros_per_delivered: Count | UnsetType | None = UNSET
    micros_per_read: Count | UnsetType | None = UNSET
    micros_per_replied: Count | UnsetType | None = UNSET


class CostAnswer(Struct, frozen=True, kw_only=True):
    """What delivered messages cost."""

    tenant: str
    campaign: str | UnsetType = UNSET
    currency: str
    timezone: str
    timezones: Annotated[dict[str, str], Meta(description="of numbers whose accounts have one of their own")]
    from_: DAY | None = field(name="from")
    to: DAY | None
    total: CostOfSends
    groups: list[CostGroup] | UnsetType = UNSET
    receipt: ReceiptShown


class CostView(View):
    """What a campaign costs."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with cost, what it is of, and a receipt of what Postgres held; 404 if nothing is counted."""
        queries, tenant, campaign, _, _ = counted(request, tenant, campaign)
        asked = read_cost_query(_query(request), tenant, campaign, queries.numbers.of_tenant(tenant))
        if asked.group_by == "campaign":
            raise NotTold("group_by=campaign is told of a tenant; template, number, market and rate are here")
        return await _answer(queries, asked)


class TenantCostView(View):
    """What all campaigns of a tenant cost together."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with cost, what it is of, and a receipt of what Postgres held."""
        queries, tenant = request.app[QUERIES], read_id("tenant", tenant)
        asked = read_cost_query(_query(request), tenant, None, queries.numbers.of_tenant(tenant))
        return await _answer(queries, asked)


def _query(request: web.Request) -> dict[str, list[str]]:
    return {name: request.query.getall(name) for name in request.query}


def read_cost_query(
    query: Mapping[str, Sequence[str]], tenant: str, campaign: str | None, numbers: Mapping[str, Number]
) -> Asked:
    """Return what is to be priced; `numbers` are those of the tenant. Raises BadParameter. Pure."""
    currency, group_by = single(query, "currency"), single(query, "group_by")
    first, last = (_day(query, name) for name in ("from", "to"))
    if first is not None and last is not None and first > last:
        raise BadParameter("from must not be after to")
    zones = _zones(single(query, "timezone"), numbers)
    return Asked(tenant, campaign, zones, currency, first, last, cast("GroupBy | None", group_by))


def _zones(name: str | None, numbers: Mapping[str, Number]) -> Zones:
    """Return the zone that is asked for, else those of the numbers' accounts."""
    if name is None:
        named = ((number, one.timezone) for number, one in numbers.items())
        return Zones(zone_of("UTC"), {number: zone_of(zone) for number, zone in named if zone is not None})
    try:
        return Zones(zone_of(name))
    except KeyError:
        raise BadParameter("timezone must be an IANA name, such as Europe/Amsterdam or UTC") from None


def _day(query: Mapping[str, Sequence[str]], name: str) -> date | None:
    text = single(query, name)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.isoformat() != text or not FIRST_DAY <= day <= LAST_DAY:
        raise BadParameter(f"{name} must be {DAY_EXPECTED}")
    return day


async def _answer(queries: Queries, asked: Asked) -> web.Response:
    # The card first: its days tell what is to be counted apart. One that is loaded meanwhile is in the next
    # answer, and none is ever seen in part.
    _, found = await queries.stored(asked.tenant, "", lambda _: rates.queries(asked.currency))
    try:
        card = rates.card(found, asked.currency)
    except rates.NoCard as error:
        raise no_card(asked.currency, error.loaded) from None
    parts = costs.parts(asked.zones, card)
    of_groups = costs.queries(asked, parts)
    # Customers who replied do not add up over templates: the total is asked for by itself.
    is_by_template = asked.group_by == "template"
    of_all = costs.queries(structs.replace(asked, group_by=None), parts) if is_by_template else []
    receipt, found = await queries.stored(asked.tenant, asked.campaign or "", lambda _: [*of_groups, *of_all])
    try:
        delivered = costs.delivered(found[: len(of_groups)], parts)
        whole = costs.delivered(found[len(of_groups) :], parts) if of_all else delivered
    except TooManySums:
        said = "groups, markets and rates are too many: ask for fewer days, or for another group_by"
        raise BadParameter(said) from None
    return json_response({**answered(asked, card, delivered, whole), "receipt": receipt.answer()})


def no_card(currency: str | None, loaded: Sequence[str]) -> BadParameter | NotTold:
    """Return why nothing can be priced, and what can. Pure."""
    if not loaded:
        return NotTold("no rate card is loaded: expected tally rates load")
    if currency is None:
        return BadParameter(f"currency must be one of {', '.join(loaded)}")
    return NotTold(f"currency={currency} has no rates: {', '.join(loaded)} have")


def answered(asked: Asked, card: Card, delivered: Sequence[Delivered], whole: Sequence[Delivered]) -> Json:
    """Return the body of an answer, without its receipt: `delivered` by group, and as a whole. Pure."""
    body: Json = {"tenant": asked.tenant}
    if asked.campaign is not None:
        body["campaign"] = asked.campaign
    body |= {
        "currency": card.currency,
        "timezone": asked.zones.other.key,
        "timezones": {number: zone.key for number, zone in sorted(asked.zones.of_numbers.items())},
        "from": asked.first,
        "to": asked.last,
        "total": _sum(total(whole, card)),
    }
    if asked.group_by == "rate":
        lines = sorted(by_line(delivered, card).items(), key=lambda one: _order(one[0]))
        body["groups"] = [{"rate": _line(line), **_cost(cost)} for line, cost in lines]
    elif asked.group_by is not None:
        groups = sorted(by_group(delivered, card).items())
        body["groups"] = [{asked.group_by: _name(group), **_sum(found)} for group, found in groups]
    return body


def _name(group: tuple[str, ...]) -> Any:
    return dict(zip(("name", "language"), group, strict=True)) if len(group) > 1 else group[0]


def _cost(cost: Cost) -> Json:
    return {
        "cost": shown(cost.micros),
        "cost_micros": cost.micros,
        "priced": cost.priced,
        "free": cost.free,
        "unpriced": cost.unpriced,
    }


def _sum(one: Sum) -> Json:
    return {
        **_cost(one.cost),
        "delivered": one.delivered,
        "read": one.read,
        "replied": one.replied,
        "micros_per_delivered": one.cost.per(one.delivered),
        "micros_per_read": one.cost.per(one.read),
        "micros_per_replied": one.cost.per(one.replied),
    }


def _line(line: Line) -> Json:
    return {
        "market": line.market,
        "category": line.category,
        "type": line.kind,
        "effective_from": line.since,
        "micros": line.micros,
    }


def _order(line: Line) -> tuple[object, ...]:
    return line.market, line.category, line.kind, line.since or date.min


ROUTES = (
    Endpoint(
        "campaign_cost",
        "/v1/tenants/{tenant}/campaigns/{campaign}/cost",
        CostView,
        "what the delivered messages of a campaign cost, by template, number, market or rate",
        CostAnswer,
        PARAMETERS,
        also=(UNTOLD,),
    ),
    Endpoint(
        "tenant_cost",
        "/v1/tenants/{tenant}/cost",
        TenantCostView,
        "what the delivered messages of all campaigns cost, also by campaign",
        CostAnswer,
        PARAMETERS,
        also=(UNTOLD,),
    ),
)
