"""Endpoints for operations tools: metrics and health.

They concern the whole worker. Where it has several processes this one asks their parent.
"""

from collections.abc import Callable

from aiohttp import web
from faust.web import View

from tally.streams.web.endpoints import PROBES, Endpoint
from tally.streams.web.responses import metrics_response, verdict_response


class MetricsView(View):
    """Metrics in Prometheus' text format, or in OpenMetrics if the client asks for it."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with all metrics of the worker."""
        return await _answer(request, lambda: metrics_response(request, request.app[PROBES].metrics))


class LiveView(View):
    """Whether the worker lives: 200 while waiting work makes progress, else 503 and the reasons."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with the verdict of `live`."""
        return await _answer(request, lambda: verdict_response(request.app[PROBES].live()))


class ReadyView(View):
    """Whether the worker is ready: 200 once recovered and caught up, else 503 and the reasons."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with the verdict of `ready`."""
        return await _answer(request, lambda: verdict_response(request.app[PROBES].ready()))


async def _answer(request: web.Request, alone: Callable[[], web.Response]) -> web.Response:
    member = request.app[PROBES].member
    return alone() if member is None else await member.page(request)


ROUTES = (
    Endpoint("metrics", "/metrics", MetricsView, "metrics of the worker, for Prometheus"),
    Endpoint(
        "live", "/health/live", LiveView, "200 while waiting work makes progress, else 503 and the reasons"
    ),
    Endpoint(
        "ready", "/health/ready", ReadyView, "200 once recovered and caught up, else 503 and the reasons"
    ),
)
