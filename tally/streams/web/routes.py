"""All addresses of the web server, and their registration with a Faust app."""

from random import random
from typing import cast

import faust
from faust.web.base import BlueprintManager
from faust.web.drivers.aiohttp import Web

from tally.agents.view.queries import Queries
from tally.streams.web import campaigns, operations, operators, page_files, series, stream
from tally.streams.web.endpoints import PROBES, QUERIES, Endpoint, Probes
from tally.streams.web.page_files import FILES, read_files
from tally.streams.web.responses import in_one_shape
from tally.streams.web.viewers import STREAMS, Viewers

READ_API: tuple[Endpoint, ...] = (*campaigns.ROUTES, *operators.ROUTES, *series.ROUTES)
"""Answered by a process that holds the view."""
STREAM: tuple[Endpoint, ...] = stream.ROUTES
"""Answered by a process that holds the view, without an end."""
PAGES: tuple[Endpoint, ...] = page_files.ROUTES
"""Answered by a process that holds the view, for people."""
OPERATIONS: tuple[Endpoint, ...] = operations.ROUTES
"""Answered by every process."""
ROUTES = (*READ_API, *STREAM, *PAGES, *OPERATIONS)


def register(app: faust.App, probes: Probes, queries: Queries | None) -> None:
    """Serve only metrics and health from an app's web server, and the read API if there are queries.

    Call it before the server starts. The handlers read the view's memory, so the app must not run its web
    server in another thread.
    """
    server = cast(Web, app.web)
    # Faust's own pages show the contents of tables to any client, and no setting turns off its index.
    server.blueprints = BlueprintManager()
    server.web_app[PROBES] = probes
    server.web_app.middlewares.append(in_one_shape)
    if queries is not None:
        server.web_app[QUERIES] = queries
        viewers = server.web_app[STREAMS] = Viewers(queries, random)
        server.web_app[FILES] = read_files()
        server.web_app.on_shutdown.append(viewers.stop)
    for one in OPERATIONS if queries is None else ROUTES:
        app.page(one.pattern, name=one.name)(one.view)
