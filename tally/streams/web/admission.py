"""Who is let in to an address: by host and origin, then by key. All that is not listed is refused."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from math import ceil

from aiohttp import web

from tally.agents.clock import unix_ms
from tally.streams.keys.access import Granted, Needed, Refused, decide
from tally.streams.keys.key import ALL_TENANTS
from tally.streams.keys.keyring import Keyring
from tally.streams.keys.sessions import Sessions
from tally.streams.web.cookies import READS, is_of_our_page, session_of
from tally.streams.web.hosts import foreign_host, foreign_origin, is_our_host, is_same_origin
from tally.streams.web.limits import KeyLimits, Limit
from tally.streams.web.parameters import BadParameter, read_id
from tally.streams.web.responses import SECURITY_HEADERS, Handler, error_response

UNBOUND = Limit(1e9, 1_000_000_000)
PREFLIGHT_SECONDS = "600"
ASKED_WITH = "Authorization, Content-Type, If-None-Match, Last-Event-ID, X-Request-Id"
"""Headers of requests that pages of allowed origins may set."""
RETRY_AFTER_SECONDS = "2"


def pattern_of(path: str) -> str:
    """Return a path as a pattern of the router; a plain {tenant} would not match ids with a brace. Pure."""
    return re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", path)


class Admission:
    """Lets requests in to the addresses of one server."""

    def __init__(
        self,
        keyring: Keyring,
        needed: Mapping[str, Needed],
        hosts: Collection[str] = (),
        origins: Iterable[str] = (),
        without_key: Collection[str] = (),
        limit: Limit = UNBOUND,
        sessions: Sessions | None = None,
        logs_in: str | None = None,
    ) -> None:
        self._keyring = keyring
        self._needed = needed
        """What each path asks of a key, by the path with its variable parts in braces."""
        self._hosts = hosts
        self.origins = frozenset(origins)
        """Of pages that may ask."""
        self._limits = KeyLimits(limit)
        self._without_key = frozenset(without_key)
        """Paths with a proof of their own; browsers and proxies reach them under any name."""
        self._sessions = sessions
        """What pages log in to; None where keys alone open."""
        self._logs_in = logs_in
        """The path at which they do, and out; of a page of this server it needs no key."""

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request that is not let in; else pass it on."""
        path = path_of(request)
        if path in self._without_key:
            return await handler(request)
        if not is_our_host(request.headers.get("Host", ""), self._hosts):
            return foreign_host()
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self.origins and not is_same_origin(request, origin):
            return foreign_origin()
        if origin is None:
            return await self._by_key(request, path, handler)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return web.Response(status=204, headers=preflight(origin) | {"Vary": "Origin"})
        request[ALLOWED_ORIGIN] = origin
        return await self._by_key(request, path, handler)

    async def _by_key(self, request: web.Request, path: str | None, handler: Handler) -> web.StreamResponse:
        if path is not None and path == self._logs_in and request.method not in READS:
            return await handler(request) if is_of_our_page(request) else foreign_origin()
        if not self._keyring.is_known:
            return unknown_keys()
        session = None if self._sessions is None else session_of(request, self._sessions)

        def decided() -> Granted | Refused:
            return decide(
                request.headers.getall("Authorization", ()),
                None if path is None else self._needed.get(path),
                _tenant(request),
                self._keyring.keys,
                unix_ms(),
                session,
            )

        decision = decided()
        if isinstance(decision, Refused):
            return refusal(decision)
        request[KEY_ID] = decision.key_id
        request[OPENS_ALL] = decision.key.opens(ALL_TENANTS)
        request[SEES_PEOPLE] = "recipients" in decision.key.scopes
        request[IS_LET_IN] = lambda: not isinstance(decided(), Refused)
        pause_s = self._limits.wait_seconds(decision.key_id, time.monotonic())
        return too_many(pause_s) if pause_s else await handler(request)


KEY_ID = web.RequestKey("key_id", str)
OPENS_ALL = web.RequestKey("opens_all", bool)
"""Whether its key is for every tenant: then it may see what is of none."""
SEES_PEOPLE = web.RequestKey("sees_people", bool)
"""Whether its key may see which people numbers are made of."""
IS_LET_IN: web.RequestKey[Callable[[], bool]] = web.RequestKey("is_let_in")
"""Whether the request would be let in now: an answer without an end asks it again and again."""
ALLOWED_ORIGIN = web.RequestKey("allowed_origin", str)
"""The origin of a page that may read the answer."""


def unknown_keys() -> web.Response:
    """Return the answer of a process that has not read the keys yet. Pure."""
    response = error_response(503, "unavailable", "the keys are not known yet")
    response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def refusal(refused: Refused) -> web.Response:
    """Return the answer to a request that is not let in. Pure."""
    response = error_response(refused.status, refused.code, refused.message)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="tally"'
    return response


def too_many(wait_seconds: float) -> web.Response:
    """Return the answer to a request beyond its key's limit. Pure."""
    response = error_response(
        429, "too_many_requests", "this key asks too often; Retry-After says when to ask again"
    )
    response.headers["Retry-After"] = str(ceil(wait_seconds))
    return response


def preflight(origin: str) -> dict[str, str]:
    """Return the answer to a page that asks whether it may ask. Pure."""
    return {
        **shared(origin),
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": ASKED_WITH,
        "Access-Control-Max-Age": PREFLIGHT_SECONDS,
    }


def shared(origin: str) -> dict[str, str]:
    """Return the headers that let a page of an allowed origin read an answer. Pure."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "ETag, Retry-After, X-Request-Id",
    }


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Add to an answer what keeps browsers from guessing, framing or passing it on, before it is sent."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if (origin := request.get(ALLOWED_ORIGIN)) is not None:
        response.headers.update(shared(origin))
        response.headers["Vary"] = ", ".join(filter(None, (response.headers.get("Vary"), "Origin")))


def path_of(request: web.Request) -> str | None:
    """Return the path of a request as its route has it; None if there is no such address."""
    resource = request.match_info.route.resource
    return None if resource is None else resource.canonical


def _tenant(request: web.Request) -> str | None:
    """Return the tenant in the path as keys name it; a malformed one as it is, for the handler to say so."""
    tenant = request.match_info.get("tenant")
    if tenant is None:
        return None
    try:
        return read_id("tenant", tenant)
    except BadParameter:
        return tenant
