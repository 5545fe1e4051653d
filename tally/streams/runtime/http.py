"""Metrics and health over HTTP on a port of their own, for whoever runs the process."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from aiohttp import web

from tally.streams.runtime.health import Verdict
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.web.hosts import for_scrapers
from tally.streams.web.responses import in_one_shape, metrics_response, verdict_response
from tally.streams.web.serving import WebServer


def http_app(
    metrics: MetricSet, health: Mapping[str, Callable[[], Verdict]], hosts: Collection[str] = ()
) -> web.Application:
    """Return the application that serves /metrics, and /health/{name} for each name in `health`.

    `hosts` are names under which it is reached beside localhost and addresses.
    """

    async def get_metrics(request: web.Request) -> web.Response:
        return metrics_response(request, metrics)

    async def get_health(request: web.Request) -> web.Response:
        verdict = health.get(request.match_info["name"])
        if verdict is None:
            raise web.HTTPNotFound
        return verdict_response(verdict())

    app = web.Application(middlewares=[in_one_shape, for_scrapers(hosts)])
    app.router.add_get("/metrics", get_metrics)
    app.router.add_get("/health/{name}", get_health)
    return app


def answers() -> Verdict:
    """Return a positive verdict: a process that answers has a running event loop."""
    return Verdict()


async def serve(server: WebServer, host: str, port: int) -> None:
    """Serve until cancelled. Raises OSError if the port is taken."""
    try:
        await server.start(host, port)
        await asyncio.Event().wait()  # until cancelled
    finally:
        await server.stop()
