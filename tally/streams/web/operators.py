"""The read API: a tenant's operators with their live states and counts."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import orjson
from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.agents.view.operators import STATES
from tally.agents.view.queries import entity_tag
from tally.agents.view.queues import waiting_answer
from tally.schemas.bounds import OPERATORS_SHOWN
from tally.schemas.keys import Template, join_parts, split_parts
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import (
    NO_CURSOR,
    BadParameter,
    checked_names,
    read_id,
    read_limit,
    read_text,
    single,
    write_text,
)
from tally.streams.web.responses import json_response, tagged, unchanged

PARAMETERS = ("pbx", "state", "cursor", "limit")


class OperatorsQuery(Struct, frozen=True):
    """Which operators a request asks for; an empty set means all."""

    pbxs: frozenset[str]
    states: frozenset[str]
    after: Template | None = None
    """The operator after which the page begins."""
    limit: int = OPERATORS_SHOWN.most


class OperatorsView(View):
    """A tenant's operators with their live states."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with operators by PBX and interface, and a receipt."""
        queries = request.app[QUERIES]
        tenant = read_id("tenant", tenant)
        query = read_operators_query({name: request.query.getall(name) for name in request.query})
        receipt = queries.receipt(tenant)
        page = await queries.in_pieces(
            queries.operators(tenant, query.pbxs, query.states, query.after, query.limit)
        )
        following = write_operator_cursor(page.following)
        waiting = waiting_answer(queries.view.waiting.of(tenant))
        # Tag of the answer, not of its rows: a wrap-up ends by the clock, without a change of a row.
        tag = entity_tag(receipt, (), tenant, blake2b(page.entries).digest(), following, waiting)
        return unchanged(request, tag) or json_response(
            {
                "tenant": tenant,
                "operators": orjson.Fragment(page.entries),
                "waiting": waiting,
                "next_cursor": following,
                "receipt": receipt.answer(),
            },
            headers=tagged(tag),
        )


def read_operators_query(query: Mapping[str, Sequence[str]]) -> OperatorsQuery:
    """Return which operators a request asks for. Raises BadParameter."""
    checked_names(query, PARAMETERS)
    states = frozenset(query.get("state", ()))
    if not states.issubset(STATES):
        raise BadParameter(f"state must be one of {', '.join(STATES)}")
    cursor, limit = single(query, "cursor"), single(query, "limit")
    return OperatorsQuery(
        frozenset(query.get("pbx", ())),
        states,
        read_operator_cursor(cursor) if cursor is not None else None,
        read_limit(limit, OPERATORS_SHOWN.most) if limit is not None else OPERATORS_SHOWN.most,
    )


def write_operator_cursor(after: Template | None) -> str | None:
    """Return the cursor of the next page; None after the last one."""
    return None if after is None else write_text(join_parts(after.name, after.language))


def read_operator_cursor(cursor: str) -> Template:
    """Return the operator of a cursor, the inverse of `write_operator_cursor`. Raises BadParameter."""
    try:
        after = Template(*split_parts(read_text(cursor)))
    except (TypeError, ValueError):
        raise BadParameter(NO_CURSOR) from None
    if write_operator_cursor(after) != cursor:
        raise BadParameter(NO_CURSOR)
    return after


ROUTES = (
    Endpoint(
        "operators",
        "/v1/tenants/{tenant}/operators",
        OperatorsView,
        "operators with their state at this moment and what they have done",
        PARAMETERS,
    ),
)
