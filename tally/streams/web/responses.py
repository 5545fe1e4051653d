"""Responses of the read API: JSON bodies, entity tags, and errors all in one shape.

The shape of an error is `{"error": {"code", "message"}}`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog
from aiohttp import web

from tally.streams.runtime.health import Verdict
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.web.parameters import BadParameter, NotCounted, NotTold, checked_target
from tally.tables.postgres.failures import PostgresFailure

NO_CACHE = {"Cache-Control": "private, no-cache"}
"""A client may keep an answer but must revalidate it, since numbers move; a proxy may not keep it."""

SERVER = "tally"
"""What answers say of the software: nothing of its version, or of Python's and aiohttp's."""
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Keep browsers from guessing what an answer is, framing it, or passing it on."""


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={**NO_CACHE, **(headers or {})},
    )


def metrics_response(request: web.Request, metrics: MetricSet) -> web.Response:
    """Return all metrics in the format that the request asks for."""
    body, content_type = metrics.exposition(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={**NO_CACHE, "Content-Type": content_type})


def verdict_response(verdict: Verdict) -> web.Response:
    """Return a verdict with its reasons; 503 if there are any."""
    body = {"status": "ok" if verdict.is_ok else "failing", "reasons": list(verdict.reasons)}
    return json_response(body, status=200 if verdict.is_ok else 503)


def with_receipt(answer: bytes, receipt: Any, headers: Mapping[str, str]) -> web.Response:
    """Return an answer, a non-empty JSON object, with the receipt added as its last member."""
    body = b"".join((answer[:-1], b',"receipt":', orjson.dumps(receipt), b"}"))
    return web.Response(body=body, content_type="application/json", headers={**NO_CACHE, **headers})


def unchanged(request: web.Request, tag: str) -> web.Response | None:
    """Return 304 if the client already has the answer with this tag (RFC 9110, 13.1.2), else None."""
    for known in request.if_none_match or ():
        # Weak comparison: two answers with one tag differ in their receipts' time and lag.
        if known.value in ("*", tag):
            return web.Response(status=304, headers=tagged(tag))
    return None


def tagged(tag: str) -> dict[str, str]:
    """Return headers with the tag of an answer, for conditional requests."""
    return {**NO_CACHE, "ETag": f'W/"{tag}"'}


log = structlog.get_logger()

AWAY = "these numbers are in Postgres, which does not answer; campaigns, lists, operators and queues go on"
CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
"""Error codes of requests that the HTTP server itself refuses; all others are `bad_request`."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def error_response(status: int, code: str, message: str, **more: object) -> web.Response:
    """Return an error in the common shape."""
    return json_response({"error": {"code": code, "message": message}, **more}, status=status)


@web.middleware
async def in_one_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failed request in the common shape; log failures of our own code."""
    try:
        checked_target(request.raw_path)
        return await handler(request)
    except (BadParameter, NotTold) as error:
        status, code = (400, "bad_parameter") if isinstance(error, BadParameter) else (422, "not_told")
        return error_response(status, code, str(error))
    except NotCounted as error:
        return error_response(404, "unknown_campaign", str(error), receipt=error.receipt)
    except PostgresFailure as failure:
        log.warning("Postgres does not answer", sqlstate=failure.sqlstate, group=failure.group)
        return error_response(503, "postgres_away", AWAY)
    except web.HTTPException as error:
        return _refused(error)
    except Exception:
        # Not the path itself: its parts are tenants, campaigns and operators.
        resource = request.match_info.route.resource
        route = None if resource is None else resource.canonical
        log.exception("a request failed", method=request.method, route=route)
        return error_response(500, "internal", "the request failed; the server's log says why")


def _refused(error: web.HTTPException) -> web.Response:
    response = error_response(error.status, CODES.get(error.status, "bad_request"), error.reason)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = error.headers["Allow"]
    return response
