"""The read API: a tenant's queues, with who waits now, what became of all others, and service levels."""

from typing import Annotated

from aiohttp import web
from faust.web import View
from msgspec import Meta, Struct

from tally.agents.view.queues import QueuesQuery
from tally.schemas.bounds import QUEUES_SHOWN
from tally.streams.web.answers import Count, ReceiptShown, Time
from tally.streams.web.cursors import of_name, read_name
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import CURSOR, Parameter, Query, limit_parameter, read_id, single
from tally.streams.web.responses import json_response

THRESHOLDS = (20,)
"""The thresholds of an answer where the request names none, in seconds."""
MOST_SECONDS = 86_400
MOST_THRESHOLDS = 20
THRESHOLD = Parameter(
    "threshold_seconds",
    Annotated[int, Meta(ge=1, le=MOST_SECONDS)],
    "thresholds of service levels; 20 if not given",
    most=MOST_THRESHOLDS,
    has_commas=True,
)
PARAMETERS = (THRESHOLD, CURSOR, limit_parameter(QUEUES_SHOWN.most, QUEUES_SHOWN.most))


class AtPbx(Struct, frozen=True):
    """Who waits in a queue of one PBX at this moment."""

    pbx: str
    waiting: Count
    since: Time


class QueueCounts(Struct, frozen=True):
    """What became of all who joined a queue, over all campaigns and PBXs."""

    joins: Count
    connects: Count
    abandoned: Count
    timeouts: Count
    ring_no_answer: Count
    wait_ms: Count
    talk_ms: Count
    hold_ms: Count


class ServiceLevel(Struct, frozen=True):
    """The share of ended joins that were connected after less than a threshold."""

    threshold_seconds: Count
    connects: Count
    of: Count
    value: float | None


class QueueShown(Struct, frozen=True):
    """A queue."""

    queue: str
    waiting: Count
    since: Time | None
    longest_wait_ms: Count | None
    pbxs: list[AtPbx]
    counts: QueueCounts
    service_level: list[ServiceLevel]


class QueuesAnswer(Struct, frozen=True):
    """A page of a tenant's queues, by name."""

    tenant: str
    queues: list[QueueShown]
    next_cursor: str | None
    receipt: ReceiptShown


class QueuesView(View):
    """A tenant's queues."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with one page of queues by name, the cursor of the next one and a receipt."""
        queries = request.app[QUERIES]
        tenant = read_id("tenant", tenant)
        query = {name: request.query.getall(name) for name in request.query}
        cursor, limit = single(query, "cursor"), single(query, "limit")
        after = None if cursor is None else read_name(cursor)
        asked = QueuesQuery(read_thresholds(query), after, int(limit or QUEUES_SHOWN.most))
        receipt = queries.freshness.receipt(tenant)
        page = await queries.queues(tenant, asked)
        return json_response(
            {
                "tenant": tenant,
                "queues": page.shown,
                "next_cursor": of_name(page.following),
                "receipt": receipt.answer(),
            }
        )


def read_thresholds(query: Query) -> list[int]:
    """Return the thresholds of service levels in seconds, each once, in order."""
    asked = THRESHOLD.values(query.get(THRESHOLD.name, ()))
    return sorted({int(one) for one in asked} or THRESHOLDS)


ROUTES = (
    Endpoint(
        "queues",
        "/v1/tenants/{tenant}/queues",
        QueuesView,
        "queues with who waits at this moment, what became of all others, and service levels",
        QueuesAnswer,
        PARAMETERS,
    ),
)
