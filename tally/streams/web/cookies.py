"""The cookie of a page that has logged in. It opens what reads alone, and only to pages of this server."""

from aiohttp import web

from tally.streams.keys.sessions import SECONDS, Session, Sessions
from tally.streams.web.hosts import is_same_origin

COOKIE = "tally_session"
READS = frozenset({"GET", "HEAD"})


def session_of(request: web.Request, sessions: Sessions) -> Session | None:
    """Return what the page of a request has logged in to; None for what writes, and for pages of others."""
    token = request.cookies.get(COOKIE)
    origin = request.headers.get("Origin")
    if (
        token is None
        or request.method not in READS
        or not (origin is None or is_same_origin(request, origin))
    ):
        return None
    return sessions.read(token)


def is_of_our_page(request: web.Request) -> bool:
    """Return whether a request is of a page of this server: browsers say so of all that writes."""
    origin = request.headers.get("Origin")
    return origin is not None and is_same_origin(request, origin)


def set_cookie(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Let the browser of a request keep a token, out of reach of scripts and of pages of others."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=SECONDS,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=is_secure(request),
    )


def remove_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Let the browser of a request forget its token."""
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=is_secure(request))


def is_secure(request: web.Request) -> bool:
    """Return whether the browser speaks HTTPS, as its page's origin says, perhaps to a proxy before us."""
    return request.headers.get("Origin", "").startswith("https://")
