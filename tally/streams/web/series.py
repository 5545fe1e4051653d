"""The read API: numbers over time, from the cells in Postgres."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from faust.web import View
from msgspec import UNSET, Struct, UnsetType, field, structs

from tally.agents.clock import unix_ms
from tally.schemas.buckets import MOST_BUCKETS, Bucket, Interval
from tally.streams.web.answers import ReceiptShown, TemplateNamed, Time
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import BadParameter, Name, Parameter, checked_name, read_id, single
from tally.streams.web.responses import json_response
from tally.streams.web.series_parameters import (
    A_QUEUE,
    AN_OPERATOR,
    CAMPAIGNS,
    MINUTE,
    PARAMETERS,
    SeriesQuery,
    Subject,
    read_series_query,
    step_seconds,
    told,
)
from tally.tables.postgres import series
from tally.tables.postgres.series import MOST_POINTS, Attribution, Point, Wanted

Json = dict[str, Any]
PBX = "pbx"
PBX_PARAMETER = Parameter(PBX, Name, "the PBX of the operator", "the name of a PBX")
UNTOLD = 422


Shown = dict[str, int]
"""Counts of a bucket by the name of the number."""


class BucketShown(Struct, frozen=True):
    """A bucket of time."""

    from_: Time = field(name="from")
    to: Time
    is_complete: bool
    counters: Shown


class GroupShown(Struct, frozen=True, kw_only=True):
    """The numbers of one template, business number or market, by bucket."""

    template: TemplateNamed | UnsetType = UNSET
    number: str | UnsetType = UNSET
    market: str | UnsetType = UNSET
    totals: Shown
    buckets: list[Shown]


class FormerBucket(Struct, frozen=True):
    """A bucket of the previous period."""

    from_: Time = field(name="from")
    to: Time
    counters: Shown


class Previous(Struct, frozen=True):
    """As many buckets right before."""

    from_: Time = field(name="from")
    to: Time
    totals: Shown
    totals_at_same_time: Shown
    buckets: list[FormerBucket]


class SeriesAnswer(Struct, frozen=True, kw_only=True):
    """Numbers over time."""

    tenant: str
    campaign: str | UnsetType = UNSET
    pbx: str | UnsetType = UNSET
    operator: str | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    interval: Interval
    timezone: str
    attribution: Attribution
    from_: Time = field(name="from")
    to: Time
    totals: Shown
    buckets: list[BucketShown]
    groups: list[GroupShown] | UnsetType = UNSET
    previous: Previous | UnsetType = UNSET
    receipt: ReceiptShown


class SeriesView(View):
    """Numbers over time of a campaign."""

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.Response:
        """Answer with the campaign's numbers by bucket, and a receipt of what Postgres held."""
        campaign = read_id("campaign", campaign)
        return await _answer(request, tenant, {"campaign": campaign})


class TenantSeriesView(View):
    """Numbers over time of all campaigns of a tenant together."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with the sums over campaigns by bucket, and a receipt of what Postgres held."""
        return await _answer(request, tenant, {})


class OperatorSeriesView(View):
    """Numbers over time of an operator."""

    async def get(self, request: web.Request, tenant: str, operator: str) -> web.Response:
        """Answer with the operator's numbers by bucket, and a receipt of what Postgres held."""
        query = {name: request.query.getall(name) for name in request.query}
        named = {"operator": checked_name("operator", operator), PBX: single(query, PBX) or ""}
        return await _answer(request, tenant, named, AN_OPERATOR)


class QueueSeriesView(View):
    """Numbers over time of a queue."""

    async def get(self, request: web.Request, tenant: str, queue: str) -> web.Response:
        """Answer with the queue's numbers by bucket, and a receipt of what Postgres held."""
        return await _answer(request, tenant, {"queue": checked_name("queue", queue)}, A_QUEUE)


async def _answer(
    request: web.Request, tenant: str, named: Mapping[str, str], subject: Subject = CAMPAIGNS
) -> web.Response:
    queries, tenant = request.app[QUERIES], read_id("tenant", tenant)
    query = {name: request.query.getall(name) for name in request.query if name not in named}
    asked = read_series_query(query, unix_ms() // 1000, subject)
    wanted = Wanted(
        tenant,
        asked.attribution,
        asked.counters,
        group_by=asked.group_by,
        is_by_minute=asked.interval == MINUTE,
        **named,
    )
    spans = [within(asked.buckets, asked.span.from_s, asked.span.to_s)]
    if asked.previous:
        spans += [asked.previous, elapsed(asked, unix_ms() // 1000)]
    # Distinct customers do not add up over templates: what is of no group is asked for by itself.
    whole = structs.replace(wanted, group_by=None) if wanted.group_by == "template" else wanted
    of_groups = series.queries(wanted, spans[:1]) if whole is not wanted else []
    receipt, found = await queries.stored(
        tenant, wanted.campaign, lambda _: [*series.queries(whole, spans), *of_groups]
    )
    points = [series.points(records, whole) for records in found[: len(spans)]]
    groups = series.points(found[-1], wanted) if of_groups else points[0]
    if not is_shown(asked, [groups, *points]):
        raise BadParameter(f"groups and buckets come to more than {MOST_BUCKETS}: take a longer interval")
    shown = {name: value for name, value in named.items() if value}
    answer = answered(asked, points, receipt.as_of_ms, groups)
    return json_response({"tenant": tenant, **shown, **answer, "receipt": receipt.answer()})


def is_shown(asked: SeriesQuery, points: Sequence[Sequence[Point]]) -> bool:
    """Return whether groups and buckets are no more than an answer shows. Pure."""
    groups = {one.group for one in points[0]}
    return len(groups) * len(asked.buckets) < MOST_POINTS and all(len(one) < MOST_POINTS for one in points)


def within(buckets: Sequence[Bucket], from_s: int, to_s: int) -> tuple[Bucket, ...]:
    """Return buckets without what lies outside a span that touches each of them. Pure."""
    return tuple(Bucket(max(one.from_s, from_s), min(one.to_s, to_s)) for one in buckets)


def elapsed(asked: SeriesQuery, now_s: int) -> tuple[Bucket, ...]:
    """Return the previous period as far as the present one has come: between the same times of buckets. Pure.

    In whole quarter hours, or minutes: the present one is in both.
    """
    step_s = step_seconds(asked.interval)
    end_s = min(now_s - now_s % step_s + step_s, asked.span.to_s)
    passed = [one for one in asked.buckets if one.from_s < end_s] or [asked.buckets[0]]
    last = asked.previous[len(passed) - 1]
    into_s = max(end_s - passed[-1].from_s, step_s)
    first = asked.previous[0]
    begin_s = min(first.from_s + asked.span.from_s - asked.buckets[0].from_s, first.to_s)
    return within(asked.previous[: len(passed)], begin_s, min(last.from_s + into_s, last.to_s))


def answered(
    asked: SeriesQuery,
    points: Sequence[Sequence[Point]],
    as_of_ms: int | None,
    groups: Sequence[Point] | None = None,
) -> Json:
    """Return the body of an answer, without names and receipt. Pure.

    The first points are those of the whole, and of its groups where `groups` has none.
    """
    zone, shown = asked.zone, points[0]
    body: Json = {
        "interval": asked.interval,
        "timezone": zone.key,
        "attribution": asked.attribution,
        "from": told(asked.span.from_s, zone),
        "to": told(asked.span.to_s, zone),
        "totals": _summed(shown, asked.counters),
        "buckets": [
            {
                **_bounds(bucket, zone),
                "is_complete": _is_complete(bucket, asked, as_of_ms),
                "counters": counters,
            }
            for bucket, counters in zip(asked.buckets, _by_bucket(shown, asked, asked.buckets), strict=True)
        ],
    }
    if asked.group_by is not None:
        found = _by_group(shown if groups is None else groups)
        body["groups"] = [_group(group, its, asked) for group, its in sorted(found.items())]
    if asked.previous:
        body["previous"] = {
            "from": told(asked.previous[0].from_s, zone),
            "to": told(asked.previous[-1].to_s, zone),
            "totals": _summed(points[1], asked.counters),
            "totals_at_same_time": _summed(points[2], asked.counters),
            "buckets": [
                {**_bounds(bucket, zone), "counters": counters}
                for bucket, counters in zip(
                    asked.previous, _by_bucket(points[1], asked, asked.previous), strict=True
                )
            ],
        }
    return body


def _bounds(bucket: Bucket, zone: ZoneInfo) -> Json:
    return {"from": told(bucket.from_s, zone), "to": told(bucket.to_s, zone)}


def _is_complete(bucket: Bucket, asked: SeriesQuery, as_of_ms: int | None) -> bool:
    is_within = asked.span.from_s <= bucket.from_s and bucket.to_s <= asked.span.to_s
    return is_within and as_of_ms is not None and bucket.to_s * 1000 <= as_of_ms


def _by_group(points: Sequence[Point]) -> dict[tuple[str, ...], list[Point]]:
    found: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        found.setdefault(point.group, []).append(point)
    return found


def _group(group: tuple[str, ...], its: Sequence[Point], asked: SeriesQuery) -> Json:
    name: Any = dict(zip(("name", "language"), group, strict=True)) if len(group) > 1 else group[0]
    return {
        str(asked.group_by): name,
        "totals": _summed(its, asked.counters),
        "buckets": _by_bucket(its, asked, asked.buckets),
    }


def _by_bucket(points: Sequence[Point], asked: SeriesQuery, buckets: Sequence[Bucket]) -> list[Json]:
    found = [dict.fromkeys(asked.counters, 0) for _ in buckets]
    for point in points:
        counts = found[point.nth]
        for name, count in point.counts.items():
            counts[name] += count
    return found


def _summed(points: Sequence[Point], names: Sequence[str]) -> Json:
    sums = dict.fromkeys(names, 0)
    for point in points:
        for name, count in point.counts.items():
            sums[name] += count
    return sums


ROUTES = (
    Endpoint(
        "campaign_series",
        "/v1/tenants/{tenant}/campaigns/{campaign}/series",
        SeriesView,
        "numbers of a campaign by minute, hour, day, week or month",
        SeriesAnswer,
        PARAMETERS,
        also=(UNTOLD,),
    ),
    Endpoint(
        "tenant_series",
        "/v1/tenants/{tenant}/series",
        TenantSeriesView,
        "numbers of all campaigns together by minute, hour, day, week or month",
        SeriesAnswer,
        PARAMETERS,
        also=(UNTOLD,),
    ),
    Endpoint(
        "operator_series",
        "/v1/tenants/{tenant}/operators/{operator}/series",
        OperatorSeriesView,
        "numbers of an operator by hour, day, week or month",
        SeriesAnswer,
        (*PARAMETERS, PBX_PARAMETER),
        also=(UNTOLD,),
    ),
    Endpoint(
        "queue_series",
        "/v1/tenants/{tenant}/queues/{queue}/series",
        QueueSeriesView,
        "connects and abandoned callers of a queue by minute, hour, day, week or month",
        SeriesAnswer,
        PARAMETERS,
        also=(UNTOLD,),
    ),
)
