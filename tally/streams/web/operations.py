"""Endpoints for operations tools: metrics and health."""

from aiohttp import web
from faust.web import View

from tally.streams.runtime.health import Verdict
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.web.endpoints import PROBES, Endpoint
from tally.streams.web.responses import NO_CACHE, json_response


class MetricsView(View):
    """Metrics in Prometheus' text format, or in OpenMetrics if the client asks for it."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with all metrics of this process."""
        return metrics_response(request, request.app[PROBES].metrics)


class LiveView(View):
    """Whether the process lives: 200 while waiting work makes progress, else 503 and the reasons."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with the verdict of `live`."""
        return verdict_response(request.app[PROBES].live())


class ReadyView(View):
    """Whether the process is ready: 200 once recovered and caught up, else 503 and the reasons."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with the verdict of `ready`."""
        return verdict_response(request.app[PROBES].ready())


def metrics_response(request: web.Request, metrics: MetricSet) -> web.Response:
    """Return all metrics in the format that the request asks for."""
    body, content_type = metrics.exposition(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={**NO_CACHE, "Content-Type": content_type})


def verdict_response(verdict: Verdict) -> web.Response:
    """Return a verdict with its reasons; 503 if there are any."""
    body = {"status": "ok" if verdict.is_ok else "failing", "reasons": list(verdict.reasons)}
    return json_response(body, status=200 if verdict.is_ok else 503)


ROUTES = (
    Endpoint("metrics", "/metrics", MetricsView, "metrics of the process, for Prometheus"),
    Endpoint(
        "live", "/health/live", LiveView, "200 while waiting work makes progress, else 503 and the reasons"
    ),
    Endpoint(
        "ready", "/health/ready", ReadyView, "200 once recovered and caught up, else 503 and the reasons"
    ),
)
