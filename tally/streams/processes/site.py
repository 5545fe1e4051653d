"""What the parent itself answers: metrics and health of all processes."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from aiohttp import web

from tally.streams.processes import state
from tally.streams.processes.child import Child
from tally.streams.processes.exposition import Merged, Page, report_of
from tally.streams.processes.member import LIVE, READY
from tally.streams.processes.state import State
from tally.streams.runtime.metric_set import Metric, MetricSet, exposition
from tally.streams.web.connections import CONNECTION_METRICS, Closed
from tally.streams.web.hosts import for_scrapers
from tally.streams.web.responses import NO_CACHE, Handler, error_response, in_one_shape, verdict_response

NAME = "parent"
"""The parent's own name in the label `process`."""
UP = "tally_process_up"
UP_MEANING = "1 for a process of this worker that answers, else 0; where a worker has several"
PATHS = ("/metrics", "/health/live", "/health/ready")


class Site:
    """Metrics and health of a worker, asked of its processes at each request."""

    def __init__(
        self, children: Sequence[Child], is_stopping: Callable[[], bool], monotonic: Callable[[], float]
    ) -> None:
        self._children = children
        self._is_stopping = is_stopping
        self._monotonic = monotonic
        self._merged = Merged()
        up = Metric(UP, "gauge", UP_MEANING, ("process",), tuple((child.name,) for child in children))
        self._metrics = MetricSet((up, *CONNECTION_METRICS))

    def follow(self, connections: Callable[[], float]) -> None:
        """Show this number of connections that are the parent's own."""
        self._metrics.follow("tally_web_connections", connections)

    def closed(self, reason: Closed) -> None:
        """Count a connection that the parent has closed."""
        self._metrics.count("tally_web_connections_closed_total", reason=reason)

    async def answer(self, path: str, accept: str) -> web.Response:
        """Return the answer to one of PATHS. Raises KeyError for another."""
        if path == "/metrics":
            if starting := [child.name for child in self._children if not child.is_started]:
                # A page without them would show sums that are too small, and counters that begin again.
                return error_response(503, "unavailable", f"not started yet: process {starting[0]}")
            page = await self._page()
            # In a thread: it takes milliseconds, in which a connection would wait to be passed on.
            body, content_type = await asyncio.to_thread(exposition, page, accept)
            return web.Response(body=body, headers={**NO_CACHE, "Content-Type": content_type})
        if path == "/health/live":
            return verdict_response(state.live(await self._states(LIVE)))
        if path == "/health/ready":
            return verdict_response(state.ready(await self._states(READY), self._is_stopping()))
        raise KeyError(path)

    async def _page(self) -> Page:
        reports = await asyncio.gather(*(child.report() for child in self._children))
        for child, report in zip(self._children, reports, strict=True):
            self._metrics.set(UP, 0 if report is None else 1, process=child.name)
        told = {child.name: report for child, report in zip(self._children, reports, strict=True)}
        return self._merged.page({**told, NAME: report_of(self._metrics.registry)})

    async def _states(self, what: str) -> list[State]:
        return list(await asyncio.gather(*(self._state(child, what) for child in self._children)))

    async def _state(self, child: Child, what: str) -> State:
        if child.end is not None:
            return State(child.name, code=child.end.code)
        if not child.is_started:
            return State(child.name, starting_s=self._monotonic() - child.began_s)
        return State(child.name, await child.reasons(what))


@web.middleware
async def closing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Close each connection after its answer: what is asked next is for the view's process."""
    response = await handler(request)
    response.force_close()
    return response


def unavailable_app() -> web.Application:
    """Return what answers instead of a view's process that takes no connection."""

    async def unavailable(_: web.Request) -> web.Response:
        return error_response(503, "unavailable", "the process with the view is starting, stuck or has ended")

    app = web.Application(middlewares=[closing])
    app.router.add_route("*", "/{path:.*}", unavailable)
    return app


def site_app(site: Site, hosts: Collection[str]) -> web.Application:
    """Return the application of the parent; `hosts` are names under which it is reached."""

    async def about_all(request: web.Request) -> web.Response:
        return await site.answer(request.path, request.headers.get("Accept", ""))

    app = web.Application(middlewares=[in_one_shape, for_scrapers(hosts)])
    for path in PATHS:
        app.router.add_get(path, about_all)
    return app
