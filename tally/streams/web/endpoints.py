"""Endpoints, and the app keys under which a request finds what its view needs."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware
from faust.web import View
from msgspec import Struct

from tally.agents.view.queries import Queries
from tally.streams.keys.access import Needed
from tally.streams.web.admission import path_of, pattern_of
from tally.streams.web.openapi import JSON, Answers, Operation
from tally.streams.web.parameters import Parameter, check_query
from tally.streams.web.responses import Handler

EXAMPLES: Mapping[str, Any] = orjson.loads(files("tally.streams.web").joinpath("examples.json").read_bytes())
"""Answers by the name of their endpoint (`tests/integration/test_web_examples.py` writes them)."""


class Endpoint(Struct, frozen=True):
    """One address that answers GET; each module lists its endpoints in `ROUTES`, beside their handlers."""

    name: str
    path: str
    """The path, with variable parts in braces: `/v1/tenants/{tenant}/operators`."""
    view: type[View]
    says: str
    """Description of the answer, for the docs."""
    answer: type[Struct] | None
    """The type of its answer, of which the published schema is made; None where it is not JSON."""
    parameters: tuple[Parameter, ...] = ()
    """Query parameters that it accepts; it refuses any other."""
    needed: Needed | None = Needed("read")
    """What it asks of a key; None where it needs none."""
    also: tuple[int, ...] = ()
    """Statuses that it answers with beside 200 and those that any address has."""
    media_type: str = JSON

    @property
    def address(self) -> str:
        """The request as the docs show it."""
        query = "&".join(f"{one.name}=" for one in self.parameters)
        return f"GET {self.path}{'?' if query else ''}{query}"

    @property
    def pattern(self) -> str:
        """The path as a pattern for the web server."""
        return pattern_of(self.path)

    @property
    def operation(self) -> Operation:
        """What the published description says of it."""
        answers = Answers(self.answer, self.also, self.media_type, EXAMPLES.get(self.name))
        return Operation(
            self.name,
            "get",
            self.path,
            self.says,
            answers,
            self.parameters,
            self.needed,
            opened_by=("key", "cookie"),
        )


def checking(endpoints: Iterable[Endpoint]) -> Middleware:
    """Return a middleware that refuses a query that is not of its endpoint's declared types."""
    known = {one.path: one.parameters for one in endpoints}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        parameters = known.get(path_of(request) or "")
        if parameters is not None and request.method in ("GET", "HEAD"):
            check_query({name: request.query.getall(name) for name in request.query}, parameters)
        return await handler(request)

    return check


QUERIES = web.AppKey("queries", Queries)
