"""Endpoints, and the app keys under which a request finds what its view needs."""

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.agents.view.queries import Queries
from tally.streams.keys.access import Needed
from tally.streams.web.admission import pattern_of


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
    needed: Needed = Needed("read")
    """What it asks of a key."""

    @property
    def address(self) -> str:
        """The request as the docs show it."""
        query = "&".join(f"{name}=" for name in self.parameters)
        return f"GET {self.path}{'?' if query else ''}{query}"

    @property
    def pattern(self) -> str:
        """The path as a pattern for the web server."""
        return pattern_of(self.path)


QUERIES = web.AppKey("queries", Queries)
