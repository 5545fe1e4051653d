"""What every answer leaves behind: a request id, metrics by route, and a log line if it was slow or failed.

Neither names a person: a route is its path with the variable parts in braces, and parameters are left out.
"""

import re
import secrets
import time
from collections.abc import Iterable

from aiohttp import web

from tally.streams.runtime.metric_set import Metric, MetricSet
from tally.streams.web.admission import KEY_ID, path_of
from tally.streams.web.responses import Handler
from tally.streams.web.slow_answers import Answered, SlowAnswers

REQUEST_ID = "X-Request-Id"
OURS = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
SLOW_SECONDS = 0.1
NO_ROUTE = "none"
OTHER = "other"
FAILED = 500
STATUSES = (
    *("200", "204", "304", "400", "401", "403", "404", "405", "408", "413", "415", "421", "422", "429"),
    *("500", "503", OTHER),
)
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def journal_metrics(paths: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics of a server with these paths. Pure."""
    routes = (*paths, NO_ROUTE)
    return (
        Metric(
            "tally_http_requests_total",
            "counter",
            "answers by route and status",
            ("route", "status"),
            tuple((route, status) for route in routes for status in STATUSES),
        ),
        Metric(
            "tally_http_seconds",
            "histogram",
            "time from a request's head to its answer",
            ("route",),
            tuple((route,) for route in routes),
            BUCKETS,
        ),
    )


def request_id_of(given: str | None) -> str:
    """Return the id that a client or a proxy gave a request, if it is one; else a new one."""
    return given if given is not None and OURS.fullmatch(given) else secrets.token_hex(8)


ID = web.RequestKey("request_id", str)


async def add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Add to each answer the id of its request, just before it is sent."""
    if (request_id := request.get(ID)) is not None:
        response.headers[REQUEST_ID] = request_id


class Journal:
    """Writes down the answers of one server."""

    def __init__(self, metrics: MetricSet, paths: Iterable[str]) -> None:
        routes = (*paths, NO_ROUTE)
        self._routes = {path: path for path in routes}
        self._count = {
            (route, int(status) if status != OTHER else 0): metrics.counter(
                "tally_http_requests_total", route=route, status=status
            )
            for route in routes
            for status in STATUSES
        }
        self._seconds = {route: metrics.histogram("tally_http_seconds", route=route) for route in routes}
        self._slow = SlowAnswers(time.monotonic)

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a request on, and note its answer."""
        request_id, began_s = request_id_of(request.headers.get(REQUEST_ID)), time.monotonic()
        request[ID] = request_id
        response = await handler(request)
        route = self._routes.get(path_of(request) or "", NO_ROUTE)
        # A stream lasts as long as somebody watches.
        took_s = time.monotonic() - began_s if isinstance(response, web.Response) else None
        self.answered(request.method, route, response.status, took_s, request_id, request.get(KEY_ID, ""))
        return response

    def answered(
        self,
        method: str,
        route: str,
        status: int,
        took_s: float | None,
        request_id: str,
        key_id: str = "",
    ) -> None:
        """Note an answer; one that takes no time that says anything has None."""
        (self._count.get((route, status)) or self._count[route, 0])()
        if took_s is None:
            return
        self._seconds[route](took_s)
        if took_s > SLOW_SECONDS or status >= FAILED:
            ms = round(took_s * 1_000)
            self._slow.note(Answered(method, route, status, ms, request_id, key_id))
