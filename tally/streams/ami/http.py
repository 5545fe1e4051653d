"""What operators and their tools ask a bridge: metrics and health."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from tally.streams.ami.metrics import AmiMetrics
from tally.streams.health import Verdict
from tally.streams.web.bodies import NO_CACHE, json_response


def http_app(metrics: AmiMetrics, ready: Callable[[], Verdict]) -> web.Application:
    """Return the application of /metrics, /health/live and /health/ready."""

    async def get_metrics(request: web.Request) -> web.Response:
        body, content_type = metrics.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={**NO_CACHE, "Content-Type": content_type})

    async def get_live(_: web.Request) -> web.Response:
        # It answers, so its event loop turns. Kafka and PBXs that are away are no reason to end a process
        # that holds events.
        return _answer(Verdict())

    async def get_ready(_: web.Request) -> web.Response:
        return _answer(ready())

    app = web.Application()
    app.router.add_get("/metrics", get_metrics)
    app.router.add_get("/health/live", get_live)
    app.router.add_get("/health/ready", get_ready)
    return app


async def serve(app: web.Application, host: str, port: int) -> None:
    """Serve until cancelled. Raises OSError: the port is taken."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await asyncio.Event().wait()  # until cancelled
    finally:
        await runner.cleanup()


def _answer(verdict: Verdict) -> web.Response:
    body = {"status": "ok" if verdict.is_ok else "failing", "reasons": list(verdict.reasons)}
    return json_response(body, status=200 if verdict.is_ok else 503)
