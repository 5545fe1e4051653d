"""The read API: what a campaign comes to by template, number, market, reason, category or hour of the day."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from faust.web import View
from msgspec import UNSET, Struct, UnsetType

from tally.agents.clock import unix_ms
from tally.agents.view.answer import rates, share
from tally.schemas.buckets import OffsetSpan, offset_spans
from tally.schemas.counters import adds_up
from tally.streams.web.answers import Count, Rates, ReceiptShown, TemplateNamed
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import BadParameter, NotTold, Parameter, read_id, single
from tally.streams.web.responses import json_response
from tally.streams.web.series_parameters import COUNTER, FIRST, TIMEZONE, counters_asked, zone_asked
from tally.tables.postgres.breakdown import (
    WAYS,
    By,
    Group,
    grain_of,
    groups,
    groups_query,
    is_of_entries,
    totals,
    totals_query,
)
from tally.tables.postgres.moment import Query, Records
from tally.tables.postgres.series import possible

PARAMETERS = (
    Parameter("by", By, "what the campaign is divided by", is_required=True),
    TIMEZONE,
    COUNTER,
)
UNTOLD = 422
MOST_GROUPS = 1_000
HOURS = range(24)
OF_ENTRIES: Mapping[str, str] = {"error": "failed", "category": "accepted"}
"""The number that the entries of a map add up to."""
Json = dict[str, Any]


class Asked(Struct, frozen=True):
    """What is asked for of a campaign."""

    by: By
    counters: tuple[str, ...]
    zone: ZoneInfo | None = None
    """Of hours of the day."""


class BreakdownGroup(Struct, frozen=True, kw_only=True):
    """The numbers of one group, under the name of what the campaign is divided by."""

    template: TemplateNamed | UnsetType = UNSET
    number: str | UnsetType = UNSET
    market: str | UnsetType = UNSET
    hour: int | UnsetType = UNSET
    error: str | UnsetType = UNSET
    category: str | UnsetType = UNSET
    types: dict[str, Count] | UnsetType = UNSET
    """Messages of a category by type of price."""
    counters: dict[str, int]
    rates: Rates | UnsetType = UNSET  # type: ignore[valid-type]
    share: float | UnsetType | None = UNSET


class OtherGroups(Struct, frozen=True):
    """All groups beyond those shown, as one."""

    groups: Count
    counters: dict[str, int]
    rates: Rates  # type: ignore[valid-type]


class BreakdownAnswer(Struct, frozen=True, kw_only=True):
    """What a campaign comes to by one property of its sends."""

    tenant: str
    campaign: str
    by: By
    timezone: str | UnsetType = UNSET
    totals: dict[str, int]
    rates: Rates  # type: ignore[valid-type]
    groups: list[BreakdownGroup]
    groups_more: OtherGroups | UnsetType = UNSET
    receipt: ReceiptShown


class BreakdownView(View):
    """What a campaign comes to by one property of its sends."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with the campaign's numbers, those of each group, and a receipt of what Postgres held."""
        tenant, campaign = read_id("tenant", tenant), read_id("campaign", campaign)
        asked = read_breakdown({name: request.query.getall(name) for name in request.query})
        wanted = queries(tenant, campaign, asked, unix_ms())
        receipt, found = await request.app[QUERIES].stored(tenant, campaign, lambda _: wanted)
        body = {"tenant": tenant, "campaign": campaign, **told(asked, found)}
        return json_response({**body, "receipt": receipt.answer()})


def read_breakdown(query: Mapping[str, Sequence[str]]) -> Asked:
    """Return what is asked for. Raises BadParameter, and NotTold for what no cell can tell. Pure."""
    by = single(query, "by")
    if by not in WAYS:
        raise BadParameter(f"by must be one of {', '.join(WAYS)}")
    zone = single(query, "timezone")
    if zone is not None and by != "hour":
        raise BadParameter("timezone is for by=hour: nothing else of a breakdown depends on clocks")
    if is_of_entries(by):
        if "counter" in query:
            raise NotTold(f"counter is not told with by={by}, which has {OF_ENTRIES[by]} alone")
        return Asked(by, (OF_ENTRIES[by],))
    names = possible(grain_of(by), "send")
    counters = counters_asked(query.get("counter", ()), names, f"by={by}")
    return Asked(by, counters, zone_asked(zone) if by == "hour" else None)


def queries(tenant: str, campaign: str, asked: Asked, now_ms: int) -> list[Query]:
    """Return the queries of a campaign's own numbers, and of its groups. Pure."""
    spans = _spans(asked.zone, now_ms)
    return [
        totals_query(tenant, campaign, asked.counters),
        groups_query(tenant, campaign, asked.by, asked.counters, spans),
    ]


def told(asked: Asked, found: Sequence[Records]) -> Json:
    """Return what these queries have found, as the body of an answer. Pure."""
    of_campaign, of_groups = found
    return answered(asked, totals(of_campaign, asked.counters), groups(of_groups, asked.by, asked.counters))


def answered(asked: Asked, of_campaign: Mapping[str, int], found: Sequence[Group]) -> Json:
    """Return the body of an answer, without names and receipt. Pure.

    Groups with the largest first number come first. What is beyond `MOST_GROUPS` is one entry of numbers that
    add up.
    """
    body: Json = {"by": asked.by}
    if asked.zone is not None:
        body["timezone"] = asked.zone.key
    body |= {"totals": of_campaign, "rates": rates(of_campaign)}
    if is_of_entries(asked.by):
        shown = _of_entries(asked, of_campaign, found)
    elif asked.by == "hour":
        shown = _of_hours(asked, found)
    else:
        first = asked.counters[0]
        ordered = sorted(found, key=lambda group: (-group.counts[first], group.name))
        shown = [_group(asked.by, group) for group in ordered]
    body["groups"] = shown[:MOST_GROUPS]
    if len(shown) > MOST_GROUPS:
        body["groups_more"] = _more(asked, shown[MOST_GROUPS:])
    return body


def _group(by: By, group: Group) -> Json:
    name: Any = group.name[0] if len(group.name) == 1 else {"name": group.name[0], "language": group.name[1]}
    return {by: name, "counters": group.counts, "rates": rates(group.counts)}


def _of_hours(asked: Asked, found: Sequence[Group]) -> list[Json]:
    by_hour = {group.name[0]: group for group in found}
    nothing = dict.fromkeys(asked.counters, 0)
    return [_group("hour", by_hour.get(hour, Group((hour,), nothing))) for hour in HOURS]


def _of_entries(asked: Asked, of_campaign: Mapping[str, int], found: Sequence[Group]) -> list[Json]:
    """Return the reasons of failures, or the categories of messages, each with its share of all."""
    name = asked.counters[0]
    whole = of_campaign[name]
    if asked.by == "error":
        made = [{"error": group.name[0], "counters": group.counts} for group in found]
    else:
        made = _categories(found, whole)
    for one in made:
        one["share"] = share(one["counters"][name], whole)
    return sorted(made, key=lambda one: (-one["counters"][name], one[asked.by]))


def _categories(found: Sequence[Group], accepted: int) -> list[Json]:
    """Return categories with their types; messages of which no price was said yet have an empty one."""
    types: dict[str, dict[str, int]] = {}
    for group in sorted(found, key=lambda group: group.name):
        category, _, kind = group.name[0].partition("/")
        types.setdefault(category, {})[kind] = group.counts["accepted"]
    if unpriced := accepted - sum(sum(counts.values()) for counts in types.values()):
        types.setdefault("", {})[""] = unpriced
    return [
        {"category": category, "types": counts, "counters": {"accepted": sum(counts.values())}}
        for category, counts in types.items()
    ]


def _more(asked: Asked, others: Sequence[Json]) -> Json:
    names = [name for name in asked.counters if adds_up(name)]
    counts = {name: sum(one["counters"][name] for one in others) for name in names}
    return {"groups": len(others), "counters": counts, "rates": rates(counts)}


def _spans(zone: ZoneInfo | None, now_ms: int) -> tuple[OffsetSpan, ...]:
    """Return the spans of one offset of all time that sends can be of."""
    if zone is None:
        return ()
    last = datetime.fromtimestamp(now_ms // 1000, UTC).date() + timedelta(days=2)
    return offset_spans(FIRST, date(last.year, last.month, 1), zone)


ROUTES = (
    Endpoint(
        "campaign_breakdown",
        "/v1/tenants/{tenant}/campaigns/{campaign}/breakdown",
        BreakdownView,
        "numbers of a campaign by template, number, market, reason of failure, category or hour of the day",
        BreakdownAnswer,
        PARAMETERS,
        also=(UNTOLD,),
    ),
)
