"""The read API: a tenant's queues, with who waits now, what became of all others, and service levels."""

from collections.abc import Mapping, Sequence

from aiohttp import web
from faust.web import View

from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import BadParameter, checked_names, read_id
from tally.streams.web.responses import json_response

PARAMETERS = ("threshold_seconds",)
THRESHOLDS = (20,)
"""The thresholds of an answer where the request names none, in seconds."""
MOST_SECONDS = 86_400
MOST_THRESHOLDS = 20


class QueuesView(View):
    """A tenant's queues."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with queues by name, and a receipt."""
        queries = request.app[QUERIES]
        tenant = read_id("tenant", tenant)
        thresholds = read_thresholds({name: request.query.getall(name) for name in request.query})
        receipt = queries.receipt(tenant)
        queues = await queries.in_pieces(queries.queues(tenant, thresholds))
        return json_response({"tenant": tenant, "queues": queues, "receipt": receipt.answer()})


def read_thresholds(query: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the thresholds of service levels in seconds, each once, in order. Raises BadParameter."""
    checked_names(query, PARAMETERS)
    asked = [part for text in query.get("threshold_seconds", ()) for part in text.split(",")]
    if not asked:
        return list(THRESHOLDS)
    if len(asked) > MOST_THRESHOLDS:
        raise BadParameter(f"threshold_seconds: at most {MOST_THRESHOLDS}")
    found = {int(one) for one in asked if one.isascii() and one.isdigit() and len(one) <= len("86400")}
    if len(found) < len(set(asked)) or not all(1 <= one <= MOST_SECONDS for one in found):
        raise BadParameter(f"threshold_seconds must be whole numbers from 1 to {MOST_SECONDS}")
    return sorted(found)


ROUTES = (
    Endpoint(
        "queues",
        "/v1/tenants/{tenant}/queues",
        QueuesView,
        "queues with who waits at this moment, what became of all others, and service levels",
        PARAMETERS,
    ),
)
