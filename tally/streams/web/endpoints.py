"""Endpoints, and the app keys under which a request finds what its view needs."""

import re
from collections.abc import Callable

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.agents.view.queries import Queries
from tally.streams.processes.member import Member
from tally.streams.runtime.health import Verdict
from tally.streams.worker.metrics import Metrics


class Endpoint(Struct, frozen=True):
    """One address that answers GET; each module lists its endpoints in `ROUTES`, beside their handlers."""

    name: str
    path: str
    """The path, with variable parts in braces: `/v1/tenants/{tenant}/operators`."""
    view: type[View]
    says: str
    """Description of the answer, for the docs."""
    parameters: tuple[str, ...] = ()
    """Query parameters that it accepts; it refuses any other."""

    @property
    def address(self) -> str:
        """The request as the docs show it."""
        query = "&".join(f"{name}=" for name in self.parameters)
        return f"GET {self.path}{'?' if query else ''}{query}"

    @property
    def pattern(self) -> str:
        """The path as a pattern for the web server. A plain {tenant} would not match ids with a brace."""
        return re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", self.path)


class Probes(Struct, frozen=True):
    """The metrics and health verdicts of this process, and its tie to the others."""

    metrics: Metrics
    live: Callable[[], Verdict]
    ready: Callable[[], Verdict]
    member: Member | None = None
    """The tie to the other processes of the worker; None if this process is all of it."""


PROBES = web.AppKey("probes", Probes)
QUERIES = web.AppKey("queries", Queries)
