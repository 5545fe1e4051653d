"""What the web views need, and the one place where a request finds it."""

from collections.abc import Callable

from aiohttp import web
from msgspec import Struct

from tally.agents.view.reader import Reader
from tally.streams.runtime.health import Verdict
from tally.streams.worker.metrics import Metrics


class Site(Struct, frozen=True):
    """Where answers come from."""

    metrics: Metrics
    live: Callable[[], Verdict]
    ready: Callable[[], Verdict]


SITE = web.AppKey("site", Site)
READER = web.AppKey("reader", Reader)
