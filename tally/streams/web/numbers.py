"""The read API: how fast a tenant's business numbers send, beside the limit that is set for each."""

from collections.abc import Mapping
from itertools import takewhile
from typing import Annotated, Any

from aiohttp import web
from faust.web import View
from msgspec import Meta, Struct

from tally.agents.clock import unix_ms
from tally.agents.view.answer import rfc_3339
from tally.agents.view.pace import LONG_SECONDS, SHORT_SECONDS, Pace
from tally.schemas.bounds import NUMBERS_SHOWN
from tally.schemas.cells import MINUTE_SECONDS, QUARTER_SECONDS
from tally.schemas.numbers import Number
from tally.streams.web.answers import Count, ReceiptShown, Time
from tally.streams.web.cursors import of_name, read_name
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import CURSOR, limit_parameter, read_id, single
from tally.streams.web.responses import json_response
from tally.tables.postgres import number_counts
from tally.tables.postgres.number_counts import DAY_SECONDS, Peak, Tried

Json = dict[str, Any]
DIGITS = 4
PARAMETERS = (CURSOR, limit_parameter(NUMBERS_SHOWN.most, NUMBERS_SHOWN.most))


class PeakShown(Struct, frozen=True):
    """The minute in which most messages of a number were accepted."""

    at: Time
    accepted: Count
    per_second: float
    limit_share: float | None


class NumberShown(Struct, frozen=True):
    """A business number."""

    number: str
    name: str | None
    timezone: str | None
    per_second_10s: Annotated[float | None, Meta(description="null until it has been looked at twice")]
    per_second_1m: float | None
    limit_per_second: Annotated[int | None, Meta(description="as it is set for the number")]
    limit_share: Annotated[float | None, Meta(description="of the limit, what was sent in the last minute")]
    peak_minute: PeakShown | None
    tried: Count
    rate_limited: Annotated[int, Meta(ge=0, description="failures with Meta's 130429")]
    rate_limited_share: float | None


class NumbersAnswer(Struct, frozen=True):
    """A page of a tenant's business numbers, by id."""

    tenant: str
    since: Annotated[str, Meta(description="of peak_minute, tried and rate_limited: the last 24 hours")]
    numbers: list[NumberShown]
    next_cursor: str | None
    receipt: ReceiptShown


class NumbersView(View):
    """A tenant's business numbers."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with a page of numbers, the cursor of the next one, and a receipt of what Postgres held.

        There is no tag: rates change with the clock.
        """
        query = {name: request.query.getall(name) for name in request.query}
        cursor, limit = single(query, "cursor"), int(single(query, "limit") or NUMBERS_SHOWN.most)
        after = None if cursor is None else read_name(cursor)
        queries, tenant = request.app[QUERIES], read_id("tenant", tenant)
        now_s = unix_ms() // 1000
        since_s = now_s - now_s % QUARTER_SECONDS - DAY_SECONDS
        recent = takewhile(lambda one: one.last_ms >= since_s * 1000, queries.view.recent(tenant))
        wanted = number_counts.day_queries(tenant, [one.campaign for one in recent], since_s)
        receipt, (of_day, by_minute) = await queries.stored(tenant, "", lambda _: wanted)
        tried, peaks = number_counts.tried(of_day), number_counts.peaks(by_minute)
        known, paces = queries.numbers.of_tenant(tenant), queries.number_paces.of(tenant)
        numbers = [
            one for one in answered(known, paces, tried, peaks) if after is None or one["number"] > after
        ]
        following = numbers[limit - 1]["number"] if len(numbers) > limit else None
        return json_response(
            {
                "tenant": tenant,
                "since": rfc_3339(since_s * 1000),
                "numbers": numbers[:limit],
                "next_cursor": of_name(following),
                "receipt": receipt.answer(),
            }
        )


def answered(
    known: Mapping[str, Number],
    paces: Mapping[str, Pace],
    tried: Mapping[str, Tried],
    peaks: Mapping[str, Peak],
) -> list[Json]:
    """Return the entries of all numbers that are set, or have sent of late, by id. Pure."""
    return [
        _number(one, known.get(one), paces.get(one), tried.get(one, Tried()), peaks.get(one))
        for one in sorted(known.keys() | paces.keys() | tried.keys() | peaks.keys())
    ]


def _number(number: str, known: Number | None, pace: Pace | None, tried: Tried, peak: Peak | None) -> Json:
    limit = None if known is None else known.per_second
    now = None if pace is None else pace.per_second(LONG_SECONDS)
    return {
        "number": number,
        "name": None if known is None else known.name,
        "timezone": None if known is None else known.timezone,
        "per_second_10s": None if pace is None else pace.per_second(SHORT_SECONDS),
        "per_second_1m": now,
        "limit_per_second": limit,
        "limit_share": _share(now, limit),
        "peak_minute": None if peak is None else _peak(peak, limit),
        "tried": tried.tried,
        "rate_limited": tried.rate_limited,
        "rate_limited_share": _share(tried.rate_limited, tried.tried),
    }


def _peak(peak: Peak, limit: int | None) -> Json:
    per_second = peak.accepted / MINUTE_SECONDS
    return {
        "at": rfc_3339(peak.at_ms),
        "accepted": peak.accepted,
        "per_second": per_second,
        "limit_share": _share(per_second, limit),
    }


def _share(part: float | None, whole: int | None) -> float | None:
    return None if part is None or not whole else round(part / whole, DIGITS)


ROUTES = (
    Endpoint(
        "numbers",
        "/v1/tenants/{tenant}/numbers",
        NumbersView,
        "business numbers with how fast they send, their fastest minute, and refusals for too many a second",
        NumbersAnswer,
        PARAMETERS,
    ),
)
