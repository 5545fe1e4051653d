"""The addresses of the read API, on the web server of a Faust app."""

from typing import cast

import faust
from faust.web import View
from faust.web.base import BlueprintManager
from faust.web.drivers.aiohttp import Web

from tally.agents.view.reader import Reader
from tally.streams.web.campaigns import CampaignsView, CampaignView
from tally.streams.web.operations import LiveView, MetricsView, ReadyView
from tally.streams.web.operators import OperatorsView
from tally.streams.web.responses import in_one_shape
from tally.streams.web.site import READER, SITE, Site

# A plain {tenant} would not match ids that hold a brace.
READ_API: dict[str, tuple[str, type[View]]] = {
    "campaign": ("/v1/tenants/{tenant:[^/]+}/campaigns/{campaign:[^/]+}", CampaignView),
    "campaigns": ("/v1/tenants/{tenant:[^/]+}/campaigns", CampaignsView),
    "operators": ("/v1/tenants/{tenant:[^/]+}/operators", OperatorsView),
}
OPERATIONS: dict[str, tuple[str, type[View]]] = {
    "metrics": ("/metrics", MetricsView),
    "live": ("/health/live", LiveView),
    "ready": ("/health/ready", ReadyView),
}


def register(app: faust.App, site: Site, reader: Reader | None) -> None:
    """Serve metrics and health from an app's web server, the read API where there is a reader, nothing else.

    To be called before the server starts. The views read the view's memory, so the app must not run its
    web server in a thread of its own.
    """
    server = cast(Web, app.web)
    # Faust's own pages show the contents of tables to whoever asks, and no setting turns off its index.
    server.blueprints = BlueprintManager()
    server.web_app[SITE] = site
    server.web_app.middlewares.append(in_one_shape)
    if reader is not None:
        server.web_app[READER] = reader
    routes = OPERATIONS if reader is None else {**READ_API, **OPERATIONS}
    for name, (path, view) in routes.items():
        app.page(path, name=name)(view)
