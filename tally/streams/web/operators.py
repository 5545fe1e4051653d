"""The read API: a tenant's operators, what they do now and what they have done."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import orjson
from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.agents.view.operators import STATES
from tally.agents.view.reader import entity_tag
from tally.streams.web.bodies import json_response, tagged, unchanged
from tally.streams.web.parameters import BadParameter, read_id
from tally.streams.web.site import READER


class OperatorsQuery(Struct, frozen=True):
    """Which operators are asked for; an empty set is all."""

    pbxs: frozenset[str]
    states: frozenset[str]


class OperatorsView(View):
    """GET /v1/tenants/{tenant}/operators: all of a tenant's operators with their live states."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with operators by PBX and interface, and a receipt."""
        reader = request.app[READER]
        tenant = read_id("tenant", tenant)
        query = read_operators_query({name: request.query.getall(name) for name in request.query})
        receipt = reader.receipt()
        operators = reader.operators(tenant, query.pbxs, query.states)
        # Of the answer, not of its rows: a wrap-up ends by the clock, without a row that changes.
        tag = entity_tag(receipt, (), tenant, blake2b(operators).digest())
        return unchanged(request, tag) or json_response(
            {"tenant": tenant, "operators": orjson.Fragment(operators), "receipt": receipt.answer()},
            headers=tagged(tag),
        )


def read_operators_query(query: Mapping[str, Sequence[str]]) -> OperatorsQuery:
    """Return which operators are asked for. Raises BadParameter."""
    states = frozenset(query.get("state", ()))
    if not states.issubset(STATES):
        raise BadParameter(f"state must be one of {', '.join(STATES)}")
    return OperatorsQuery(frozenset(query.get("pbx", ())), states)
