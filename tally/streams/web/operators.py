"""The read API: a tenant's operators with their live states and counts."""

from hashlib import blake2b

import orjson
from aiohttp import web
from faust.web import View
from msgspec import UNSET, Struct, UnsetType

from tally.agents.view.operators import STATES, State
from tally.agents.view.operators_page import OperatorsQuery
from tally.agents.view.queues import waiting_answer
from tally.agents.view.receipt import entity_tag
from tally.schemas.bounds import OPERATORS_SHOWN, QUEUES_SHOWN
from tally.streams.web.answers import Count, ReceiptShown, Time
from tally.streams.web.cursors import of_pair, read_pair
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import (
    CURSOR,
    Name,
    Parameter,
    Query,
    limit_parameter,
    read_id,
    single,
)
from tally.streams.web.responses import json_response, tagged, unchanged

MOST_PBXS = 500
PARAMETERS = (
    Parameter("pbx", Name, "operators of these PBXs", "the name of a PBX", MOST_PBXS),
    Parameter("state", State, "operators in these states", most=len(STATES)),
    CURSOR,
    limit_parameter(OPERATORS_SHOWN.most, OPERATORS_SHOWN.most),
)


class Membership(Struct, frozen=True):
    """An operator in one queue."""

    queue: str
    state: State
    paused: bool
    reason: str | None
    since: Time | None


class OperatorCounts(Struct, frozen=True):
    """What an operator has done in this generation."""

    connects: Count
    ring_no_answer: Count
    talk_ms: Count


class OperatorShown(Struct, frozen=True):
    """An operator."""

    pbx: str
    operator: str
    name: str
    state: State
    reason: str | None
    since: Time | None
    queues: list[Membership]
    counts: OperatorCounts


class Waiting(Struct, frozen=True):
    """A queue of a PBX in which somebody waits at this moment."""

    pbx: str
    queue: str
    waiting: Count
    since: Time


class OperatorsAnswer(Struct, frozen=True, kw_only=True):
    """A page of a tenant's operators, by PBX and interface."""

    tenant: str
    operators: list[OperatorShown]
    waiting: list[Waiting]
    waiting_more: Count | UnsetType = UNSET
    next_cursor: str | None
    receipt: ReceiptShown


class OperatorsView(View):
    """A tenant's operators with their live states."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with operators by PBX and interface, and a receipt."""
        queries = request.app[QUERIES]
        tenant = read_id("tenant", tenant)
        query = read_operators_query({name: request.query.getall(name) for name in request.query})
        receipt = queries.freshness.receipt(tenant)
        page = await queries.operators(tenant, query)
        following = of_pair(page.following)
        waiting = waiting_answer(queries.view.waiting.of(tenant))
        shown, more = waiting[: QUEUES_SHOWN.most], waiting[QUEUES_SHOWN.most :]
        # Tag of the answer, not of its rows: a wrap-up ends by the clock, without a change of a row.
        tag = entity_tag(receipt, (), tenant, blake2b(page.entries).digest(), following, waiting)
        return unchanged(request, tag) or json_response(
            {
                "tenant": tenant,
                "operators": orjson.Fragment(page.entries),
                "waiting": shown,
                **({"waiting_more": len(more)} if more else {}),
                "next_cursor": following,
                "receipt": receipt.answer(),
            },
            headers=tagged(tag),
        )


def read_operators_query(query: Query) -> OperatorsQuery:
    """Return which operators a request asks for. Raises BadParameter."""
    cursor, limit = single(query, "cursor"), single(query, "limit")
    return OperatorsQuery(
        frozenset(query.get("pbx", ())),
        frozenset(query.get("state", ())),
        read_pair(cursor) if cursor is not None else None,
        int(limit or OPERATORS_SHOWN.most),
    )


ROUTES = (
    Endpoint(
        "operators",
        "/v1/tenants/{tenant}/operators",
        OperatorsView,
        "operators with their state at this moment and what they have done",
        OperatorsAnswer,
        PARAMETERS,
        also=(304,),
    ),
)
