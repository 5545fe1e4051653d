"""Under which name and for which page a request comes: pages of somebody else are refused."""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from tally.streams.web.responses import Handler, error_response

LOCAL_NAMES = frozenset({"localhost"})


def is_our_host(host: str, names: Collection[str]) -> bool:
    """Return whether a Host header names this server: one of these names, localhost, or any address. Pure.

    A page of somebody else's site reaches a server on loopback under a name of its own, which it lets resolve
    to 127.0.0.1; it cannot do so under an address.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in LOCAL_NAMES or name in {one.lower() for one in names}:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_same_origin(request: web.Request, origin: str) -> bool:
    """Return whether a page is of this server: under the name that the request has, or as its browser says.

    A proxy may ask under a name of its own. Browsers say whose page it is over HTTPS and on localhost, in a
    header that no page can set.
    """
    is_same_name = origin.partition("://")[2] == request.headers.get("Host")
    return is_same_name or request.headers.get("Sec-Fetch-Site") == "same-origin"


def foreign_host() -> web.Response:
    """Return the answer to a request under a name that is not this server's."""
    return error_response(421, "foreign_host", "this server is not known under this name (TALLY_WEB_HOSTS)")


def foreign_origin() -> web.Response:
    """Return the answer to a page of an origin that may not ask."""
    return error_response(403, "foreign_origin", "pages of this origin may not ask (TALLY_WEB_ORIGINS)")


def for_scrapers(names: Collection[str]) -> Middleware:
    """Return a middleware that lets nobody else's page in, and every program.

    A program may leave the Host out, as load balancers do that only ask for health; no browser does.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if host is not None and not is_our_host(host, names):
            return foreign_host()
        if origin is not None and not is_same_origin(request, origin):
            return foreign_origin()
        return await handler(request)

    return check
