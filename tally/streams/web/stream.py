"""The read API: a stream of what changes, as server-sent events."""

from typing import Literal

from aiohttp import web
from faust.web import View

from tally.agents.view.frames import read_vector
from tally.streams.web.admission import IS_LET_IN
from tally.streams.web.endpoints import Endpoint
from tally.streams.web.parameters import ID_EXPECTED, BadParameter, Id, Parameter, Query, read_id, single
from tally.streams.web.queues import THRESHOLD, read_thresholds
from tally.streams.web.responses import error_response
from tally.streams.web.viewers import STREAMS
from tally.streams.web.watched import Watched

PARAMETERS = (
    Parameter("campaign", Id, "all numbers of this campaign", ID_EXPECTED),
    Parameter("campaigns", Literal["1"], "the list of campaigns"),
    Parameter("operators", Literal["1"], "the list of operators"),
    Parameter("queues", Literal["1"], "the list of queues"),
    THRESHOLD,
    Parameter("receipts", Literal["1"], "receipts alone, where nothing else is asked for"),
)
RETRY_AFTER_SECONDS = "5"
HEADERS = {
    "Content-Type": "text/event-stream",
    # A cache would replay old numbers; a proxy that compresses holds frames back until it has enough.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}


class StreamView(View):
    """Numbers as they change, one frame a second at most."""

    async def get(self, request: web.Request, tenant: str) -> web.StreamResponse:
        """Answer with a stream of events that begins with a snapshot and ends with a `bye`."""
        watched = read_watched(tenant, {name: request.query.getall(name) for name in request.query})
        viewers = request.app[STREAMS]
        if not viewers.room:
            return _full(len(viewers))
        response = web.StreamResponse(headers=HEADERS)
        # After a cut the viewer comes back over a new connection, which may reach another worker.
        response.force_close()
        writer = await response.prepare(request)
        if request.method != "HEAD" and writer is not None and request.transport is not None:
            shown = read_vector(request.headers.get("Last-Event-ID", ""))
            await viewers.show(watched, shown, writer, request.transport, request[IS_LET_IN])
        return response


def _full(streams: int) -> web.Response:
    response = error_response(
        503,
        "too_many_streams",
        f"this process shows {streams:,} streams and takes no more; another view may, and each takes 1,152"
        " where it may open 6,144 descriptors",
    )
    response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def read_watched(tenant: str, query: Query) -> Watched:
    """Return what a request asks to see. Raises BadParameter."""
    campaign = single(query, "campaign")
    thresholds = tuple(read_thresholds(query))
    watched = Watched(
        read_id("tenant", tenant),
        None if campaign is None else read_id("campaign", campaign),
        "campaigns" in query,
        "operators" in query,
        thresholds if "queues" in query else (),
    )
    if not watched.queues and "threshold_seconds" in query:
        raise BadParameter("threshold_seconds goes with queues=1")
    if not watched.parts and "receipts" not in query:
        raise BadParameter(
            "expected is one of campaign=ID, campaigns=1, operators=1, queues=1, or several; receipts=1 alone"
        )
    return watched


ROUTES = (
    Endpoint(
        "stream",
        "/v1/tenants/{tenant}/stream",
        StreamView,
        "server-sent events: a snapshot, then each second what has changed, or a receipt",
        None,
        PARAMETERS,
        media_type=HEADERS["Content-Type"],
    ),
)
