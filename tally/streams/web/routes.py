"""All addresses of the read API, and their registration with a Faust app."""

from random import random
from typing import cast

import faust
from faust.web.base import BlueprintManager
from faust.web.drivers.aiohttp import Web

from tally.agents.view.exports import Exports
from tally.agents.view.queries import Queries
from tally.streams.reports.kept import Reports
from tally.streams.web import (
    activity,
    breakdown,
    campaigns,
    cost,
    exports,
    lines,
    log_in,
    numbers,
    operators,
    page_files,
    published,
    queues,
    recipients,
    reports,
    same_age,
    series,
    stories,
    stream,
    templates,
)
from tally.streams.web.admission import Admission, finish
from tally.streams.web.endpoints import QUERIES, Endpoint, checking
from tally.streams.web.journal import Journal, add_request_id
from tally.streams.web.log_in import LOG_INS, LogIns
from tally.streams.web.packing import packed
from tally.streams.web.page_files import FILES, read_files
from tally.streams.web.people import SEAL, Seal
from tally.streams.web.published import PUBLISHED, Published
from tally.streams.web.responses import in_one_shape
from tally.streams.web.serving import most_connections
from tally.streams.web.told_stories import Stories
from tally.streams.web.viewers import SHARE, STREAMS, TICK_SECONDS, Viewers

READ_API: tuple[Endpoint, ...] = (
    *campaigns.ROUTES,
    *operators.ROUTES,
    *queues.ROUTES,
    *series.ROUTES,
    *breakdown.ROUTES,
    *same_age.ROUTES,
    *templates.ROUTES,
    *activity.ROUTES,
    *cost.ROUTES,
    *lines.ROUTES,
    *recipients.ROUTES,
    *stories.ROUTES,
    *exports.ROUTES,
    *numbers.ROUTES,
    *reports.ROUTES,
)
"""Answered by a process that holds the view."""
STREAM: tuple[Endpoint, ...] = stream.ROUTES
"""Answered by a process that holds the view, without an end."""
SESSION: tuple[Endpoint, ...] = log_in.ROUTES
"""Answered by a process that holds the view: who asks."""
PAGES: tuple[Endpoint, ...] = page_files.ROUTES
"""Answered by a process that holds the view, for people; files without a number, so they need no key."""
DESCRIPTION = Endpoint(
    "openapi",
    published.PATH,
    published.DescriptionView,
    published.SAYS,
    published.DescriptionAnswer,
    needed=published.needed_by("read"),
    also=(304,),
)
WITH_KEY = (*READ_API, *STREAM, *SESSION, DESCRIPTION)
ROUTES = (*WITH_KEY, *PAGES)
NEEDED = {one.path: one.needed for one in WITH_KEY if one.needed is not None}
"""What each path asks of a key; nobody is let in to any other but pages."""
WITHOUT_KEY = tuple(one.path for one in PAGES)


def description() -> Published:
    """Return the description of the read API."""
    operations = [*(one.operation for one in ROUTES), *log_in.OPERATIONS]
    return published.published("Tally: the read API", operations, {})


def register(
    app: faust.App,
    queries: Queries,
    admission: Admission,
    journal: Journal,
    log_ins: LogIns,
    kept_reports: Reports,
    told: Stories,
    running: Exports,
    tick_seconds: float = TICK_SECONDS,
) -> None:
    """Serve the read API, and nothing else, from an app's web server.

    Call it before the server starts. The handlers read the view's memory, so the app must not run its web
    server in another thread.
    """
    server = cast(Web, app.web)
    # Faust's own pages show the contents of tables to any client, and no setting turns off its index.
    server.blueprints = BlueprintManager()
    server.web_app.middlewares.extend(
        (journal.note, packed, in_one_shape, admission.check, checking(WITH_KEY))
    )
    server.web_app.on_response_prepare.extend((finish, add_request_id))
    server.web_app[QUERIES] = queries
    server.web_app[exports.EXPORTS] = running
    server.web_app[LOG_INS] = log_ins
    server.web_app[SEAL] = Seal(log_ins.sessions.secrets)
    server.web_app[reports.REPORTS] = kept_reports
    server.web_app[stories.STORIES] = told
    viewers = server.web_app[STREAMS] = Viewers(
        queries, random, tick_seconds, most=round(SHARE * most_connections())
    )
    server.web_app[FILES] = read_files()
    server.web_app[PUBLISHED] = description()
    server.web_app.on_shutdown.append(viewers.stop)
    for one in ROUTES:
        app.page(one.pattern, name=one.name)(one.view)
