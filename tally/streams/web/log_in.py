"""Pages log in with a key, once: from then on a signed cookie, which no script can read, is shown instead."""

import asyncio
from secrets import token_urlsafe
from typing import Literal

import structlog
from aiohttp import web
from faust.web import View
from msgspec import Struct, to_builtins
from msgspec.json import Decoder

from tally.agents.clock import unix_ms
from tally.streams.keys.access import SCHEME, Granted, Needed, Refused, decide
from tally.streams.keys.keyring import Keyring
from tally.streams.keys.sessions import LEAST_SECRET, Sessions
from tally.streams.settings import Settings, variable
from tally.streams.web.admission import refusal, unknown_keys
from tally.streams.web.bodies import CutBody, coming
from tally.streams.web.cookies import COOKIE, remove_cookie, set_cookie
from tally.streams.web.endpoints import Endpoint
from tally.streams.web.openapi import JSON, Answers, Body, Operation
from tally.streams.web.responses import error_response, json_response

PATH = "/v1/session"
NEEDED = Needed("read", is_tenants=False)
MOST_BYTES = 1_024
READ_SECONDS = 10.0


log = structlog.get_logger()


class LogIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a log-in."""

    key: str


class SessionAnswer(Struct, frozen=True):
    """What a page may know of the key that it has shown."""

    key_id: str
    by: Literal["key", "cookie"]
    """Whether the request shows the key itself, or the cookie of a log-in."""
    tenants: list[str]
    """Which tenants the key opens; `*` is all of them."""
    scopes: list[str]


class LoggedOut(Struct, frozen=True):
    """That nobody is logged in any more."""

    logged_in: bool = False


_decode = Decoder(LogIn).decode


class LogIns(Struct, frozen=True):
    """What log-ins are checked against."""

    keyring: Keyring
    sessions: Sessions


def log_ins_of(settings: Settings, keyring: Keyring) -> LogIns:
    """Return what log-ins are checked against; without a secret in the settings they end with us."""
    if not settings.session_secrets:
        log.warning(
            "log-ins of pages end with this process, and no other view knows them",
            wanted=variable("session_secret"),
        )
    return LogIns(keyring, Sessions(settings.session_secrets or [token_urlsafe(LEAST_SECRET)]))


LOG_INS = web.AppKey("log_ins", LogIns)


class SessionView(View):
    """The log-in of a page."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with what the key may see with which somebody has logged in, or which the request shows."""
        log_ins = request.app[LOG_INS]
        authorization = request.headers.getall("Authorization", ())
        session = log_ins.sessions.read(request.cookies.get(COOKIE, ""))
        decision = decide(authorization, NEEDED, None, log_ins.keyring.keys, unix_ms(), session)
        return _told(decision, "key" if authorization else "cookie")

    async def post(self, request: web.Request) -> web.Response:
        """Log in with the key of the body."""
        log_ins = request.app[LOG_INS]
        if not log_ins.keyring.is_known:
            return unknown_keys()
        if request.content_type != JSON:  # a page of somebody else may post forms without asking first
            return error_response(415, "unsupported_type", f"Content-Type must be {JSON}")
        if (request.content_length or 0) > MOST_BYTES:
            return error_response(413, "too_large", f"the body may have {MOST_BYTES:,} bytes")
        try:
            async with asyncio.timeout(READ_SECONDS):
                with coming(request):
                    body = await _read(request)
        except (TimeoutError, asyncio.IncompleteReadError, CutBody):
            return error_response(408, "slow", f"the body did not come within {READ_SECONDS:g} s")
        try:
            shown = _decode(body)
        except ValueError:
            return error_response(400, "bad_body", 'the body must be {"key": "tally_..."}')
        now_ms = unix_ms()
        decision = decide([f"{SCHEME} {shown.key}"], NEEDED, None, log_ins.keyring.keys, now_ms)
        response = _told(decision, "cookie")
        if isinstance(decision, Granted):
            set_cookie(request, response, log_ins.sessions.token(decision.key_id, now_ms))
        return response

    async def put(self, request: web.Request) -> web.Response:
        """Let a log-in last anew, as an open page asks every few minutes."""
        log_ins = request.app[LOG_INS]
        if not log_ins.keyring.is_known:
            return unknown_keys()
        now_ms = unix_ms()
        session = log_ins.sessions.read(request.cookies.get(COOKIE, ""))
        decision = decide((), NEEDED, None, log_ins.keyring.keys, now_ms, session)
        response = _told(decision, "cookie")
        if isinstance(decision, Granted):
            set_cookie(request, response, log_ins.sessions.token(decision.key_id, now_ms))
        return response

    async def delete(self, request: web.Request) -> web.Response:
        """Log out: this browser forgets its cookie."""
        response = json_response(to_builtins(LoggedOut()))
        remove_cookie(request, response)
        return response


async def _read(request: web.Request) -> bytes:
    """Return the body; one that does not say how long it is counts for none."""
    length = request.content_length
    return await request.content.readexactly(length) if length else b""


def _told(decision: Granted | Refused, by: Literal["key", "cookie"]) -> web.Response:
    if isinstance(decision, Refused):
        return refusal(decision)
    key = decision.key
    return json_response(to_builtins(SessionAnswer(decision.key_id, by, list(key.tenants), list(key.scopes))))


ROUTES = (
    Endpoint(
        "session",
        PATH,
        SessionView,
        "which tenants the key opens; POST logs a page in with a key, PUT renews that, DELETE logs out",
        SessionAnswer,
        needed=NEEDED,
    ),
)
OPERATIONS = (
    Operation(
        "log_in",
        "post",
        PATH,
        "logs a page of this server in: its browser gets a cookie that opens what the key does, to read",
        Answers(SessionAnswer, (401, 403, 408, 413, 415, 421, 503)),
        needed=None,
        body=Body(
            {JSON: {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}},
            {"a key": {"key": "tally_..."}},
        ),
    ),
    Operation(
        "stay_logged_in",
        "put",
        PATH,
        "lets the log-in of a page of this server last anew",
        Answers(SessionAnswer),
        needed=NEEDED,
        opened_by=("cookie",),
    ),
    Operation(
        "log_out",
        "delete",
        PATH,
        "lets the browser of a page of this server forget its log-in",
        Answers(LoggedOut, (403, 421)),
        needed=None,
    ),
)
"""What pages of this server ask beside GET, by what their browser says of itself and by their cookie."""
