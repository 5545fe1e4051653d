"""What an endpoint is, what its view needs, and the one place where a request finds it."""

import re
from collections.abc import Callable

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.agents.view.queries import Queries
from tally.streams.runtime.health import Verdict
from tally.streams.worker.metrics import Metrics


class Endpoint(Struct, frozen=True):
    """One address that answers GET; a module has its own in `ROUTES`, beside their handlers."""

    name: str
    path: str
    """With names in braces for what varies: `/v1/tenants/{tenant}/operators`."""
    view: type[View]
    says: str
    """What it answers with, as the docs say it."""
    parameters: tuple[str, ...] = ()
    """Those that it reads of a query; any other is refused."""

    @property
    def address(self) -> str:
        """The request as the docs show it."""
        query = "&".join(f"{name}=" for name in self.parameters)
        return f"GET {self.path}{'?' if query else ''}{query}"

    @property
    def pattern(self) -> str:
        """The path as the web server matches it. A plain {tenant} would not match ids that hold a brace."""
        return re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", self.path)


class Probes(Struct, frozen=True):
    """Where answers come from."""

    metrics: Metrics
    live: Callable[[], Verdict]
    ready: Callable[[], Verdict]


PROBES = web.AppKey("probes", Probes)
QUERIES = web.AppKey("queries", Queries)
