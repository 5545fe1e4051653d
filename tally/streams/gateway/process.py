"""The gateway process, built from the settings."""

import asyncio
import random
import time

from aiohttp import web

from tally.agents.clock import unix_ms
from tally.schemas.reports import GatewayReport, Reporter
from tally.schemas.topics import API_KEYS, NUMBERS
from tally.streams.gateway import described, results, webhooks
from tally.streams.gateway.fast_webhooks import FastWebhooks
from tally.streams.gateway.intake import Intake, refusals
from tally.streams.gateway.kafka import Connector, KafkaConnection
from tally.streams.gateway.observer import Clocks, GatewayObserver, metrics_of
from tally.streams.gateway.publishing import Publishing
from tally.streams.gateway.results import Results
from tally.streams.gateway.room import Room
from tally.streams.gateway.webhooks import Webhooks
from tally.streams.keys.keyring import Keyring, keys_follower
from tally.streams.operations.following import Follower
from tally.streams.operations.numbers import numbers_follower
from tally.streams.reports.reporting import Reporting, name_of
from tally.streams.runtime.health import Verdict
from tally.streams.runtime.http import answers, http_app, serve
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.runtime.run import Parts
from tally.streams.settings import Settings
from tally.streams.web import published
from tally.streams.web.admission import Admission, finish, pattern_of
from tally.streams.web.journal import Journal, add_request_id, journal_metrics
from tally.streams.web.limits import Limit
from tally.streams.web.packing import packed
from tally.streams.web.responses import Handler, in_one_shape
from tally.streams.web.serving import WebServer

TOPICS = (webhooks.TOPIC, *results.TOPICS)
PATHS = (webhooks.PATH, *results.PATHS, published.PATH)
NEEDED = results.NEEDED | {published.PATH: published.needed_by("ingest")}
"""What each path asks of a key."""
FOLLOWED = (API_KEYS, NUMBERS)
"""Topics that say who may post, and whose business numbers are."""
STOP_SECONDS = 5.0
"""How long requests under way may take at the end; they are answered within three seconds."""


async def gateway_parts(settings: Settings) -> Parts:
    """Return the parts to run: publishing, keys and numbers, the door for requests, and one for metrics."""
    names_of_apps = [app.name for app in settings.gateway_apps]
    metrics = MetricSet((*metrics_of(names_of_apps, results.TOPICS), *journal_metrics(PATHS)))
    clocks = Clocks(unix_ms, time.monotonic)
    observer = GatewayObserver(metrics, clocks, names_of_apps)
    names = [settings.names.raw(topic) for topic in TOPICS]
    connector = Connector(settings, [*names, *map(settings.names.raw, FOLLOWED)])
    declared = asyncio.Event()

    async def connected() -> KafkaConnection:
        connection = await connector.connect()
        declared.set()
        return connection

    async def follow(follower: Follower) -> None:
        # Who asks for a topic that there is not lets the brokers create it with their defaults.
        await declared.wait()
        await follower.run()

    publishing = Publishing(names, connected, observer, random.random)
    room = Room(settings.gateway_bytes, clocks.seconds)
    metrics.follow("tally_gateway_bytes_in_flight", lambda: float(room.used_bytes))
    intake = Intake(publishing, room, settings.names, observer, clocks)
    posted = Results(intake, observer, settings.conventions, settings.rules)
    keyring = Keyring()
    admission = Admission(
        keyring,
        NEEDED,
        settings.web_hosts,
        settings.web_origins,
        without_key=[webhooks.PATH],
        limit=Limit(settings.posts_per_second, settings.posts_burst),
    )
    journal = Journal(metrics, PATHS)
    app = gateway_app(Webhooks(settings.gateway_apps, intake, observer, clocks), posted, admission, journal)
    offer = FastWebhooks(settings.gateway_apps, intake, observer, journal, clocks).offer
    server = WebServer(app, observer.closed, stop_seconds=STOP_SECONDS, shares_port=True, fast_path=offer)
    metrics.follow("tally_web_connections", lambda: float(len(server.connections)))

    def ready() -> Verdict:
        unread = () if keyring.is_known and posted.has_numbers else ("keys and numbers: not read yet",)
        return Verdict((*observer.ready().reasons, *unread))

    async def report() -> GatewayReport:
        return observer.report()

    reporter = Reporter("gateway", name_of(settings.gateway_metrics_port))
    own = http_app(metrics, {"live": answers, "ready": ready}, settings.web_hosts)
    # Stopped in reverse order: what is under way is published before publishing ends.
    return Parts(
        apps=(),
        services={
            "metrics": lambda: serve(WebServer(own), settings.metrics_host, settings.gateway_metrics_port),
            "publishing": publishing.run,
            "keys": lambda: follow(keys_follower(settings, keyring)),
            "reports": Reporting(settings, reporter, report).run,
            "numbers": lambda: follow(numbers_follower(settings, lambda numbers, _: posted.read_by(numbers))),
            "gateway": lambda: serve(server, settings.gateway_host, settings.gateway_port),
        },
    )


def by_method(**handlers: Handler) -> Handler:
    """Return a handler that passes each method to its own, and answers 405 to others."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method not in handlers:
            raise web.HTTPMethodNotAllowed(request.method, handlers)
        return await handlers[request.method](request)

    return answer


async def describe(request: web.Request) -> web.StreamResponse:
    """Answer with the description of this server."""
    return request.app[published.PUBLISHED].answer(request)


def gateway_app(hooks: Webhooks, posted: Results, admission: Admission, journal: Journal) -> web.Application:
    """Return the application of the gateway."""
    app = web.Application(middlewares=[journal.note, packed, in_one_shape, admission.check, refusals])
    app.on_response_prepare.extend((finish, add_request_id))
    # For every method: else a method that is not answered would not be at any address, with its rules.
    app.router.add_route("*", pattern_of(webhooks.PATH), by_method(GET=hooks.handshake, POST=hooks.accept))
    for path in results.PATHS:
        app.router.add_route("*", pattern_of(path), by_method(POST=posted.accept))
    app[published.PUBLISHED] = described.description()
    app.router.add_route("*", published.PATH, by_method(GET=describe, HEAD=describe))
    return app
