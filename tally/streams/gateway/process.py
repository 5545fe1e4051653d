"""The gateway process, built from the settings."""

import random
import time

from aiohttp import web

from tally.agents.clock import unix_ms
from tally.streams.gateway import webhooks
from tally.streams.gateway.intake import Intake, refusals
from tally.streams.gateway.kafka import connect
from tally.streams.gateway.observer import Clocks, GatewayObserver, metrics_of
from tally.streams.gateway.publishing import Publishing
from tally.streams.gateway.room import Room
from tally.streams.gateway.webhooks import Webhooks
from tally.streams.runtime.http import answers, http_app, serve
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.runtime.run import Parts
from tally.streams.settings import Settings
from tally.streams.web.responses import in_one_shape
from tally.streams.web.serving import WebServer

TOPICS = (webhooks.TOPIC,)
STOP_SECONDS = 5.0
"""How long requests under way may take at the end; they are answered within three seconds."""


async def gateway_parts(settings: Settings) -> Parts:
    """Return the parts to run: publishing, the door for requests, and one for metrics and health."""
    metrics = MetricSet(metrics_of(app.name for app in settings.gateway_apps))
    clocks = Clocks(unix_ms, time.monotonic)
    observer = GatewayObserver(metrics, clocks)
    names = [settings.names.raw(topic) for topic in TOPICS]
    publishing = Publishing(names, lambda: connect(settings, names), observer, random.random)
    room = Room(settings.gateway_bytes)
    metrics.follow("tally_gateway_bytes_in_flight", lambda: float(room.used_bytes))
    intake = Intake(publishing, room, settings.names, observer, clocks)
    app = gateway_app(Webhooks(settings.gateway_apps, intake, observer, clocks))
    server = WebServer(app, observer.closed, stop_seconds=STOP_SECONDS, shares_port=True)
    metrics.follow("tally_web_connections", lambda: float(len(server.connections)))
    own = http_app(metrics, {"live": answers, "ready": observer.ready})
    # Stopped in reverse order: what is under way is published before publishing ends.
    return Parts(
        apps=(),
        services={
            "metrics": lambda: serve(WebServer(own), settings.gateway_host, settings.gateway_metrics_port),
            "publishing": publishing.run,
            "gateway": lambda: serve(server, settings.gateway_host, settings.gateway_port),
        },
    )


def gateway_app(hooks: Webhooks) -> web.Application:
    """Return the application of the gateway."""
    app = web.Application(middlewares=[in_one_shape, refusals])
    path = webhooks.PATH.replace("{app}", "{app:[^/]+}")
    app.router.add_get(path, hooks.handshake, allow_head=False)
    app.router.add_post(path, hooks.accept)
    return app
