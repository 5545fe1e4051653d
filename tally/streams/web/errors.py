"""Errors of the read API, all in one shape: `{"error": {"code", "message"}}`."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from tally.streams.web.bodies import json_response
from tally.streams.web.parameters import BadParameter, checked_target

log = structlog.get_logger()

CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
"""Codes of what the HTTP server itself refuses; the rest is `bad_request`."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def error_response(status: int, code: str, message: str, **more: object) -> web.Response:
    """Return an error in its one shape."""
    return json_response({"error": {"code": code, "message": message}, **more}, status=status)


@web.middleware
async def in_one_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failed request in the one shape; what is our own fault is logged."""
    try:
        checked_target(request.raw_path)
        return await handler(request)
    except BadParameter as error:
        return error_response(400, "bad_parameter", str(error))
    except web.HTTPException as error:
        return _refused(error)
    except Exception:
        log.exception("a request failed", method=request.method, path=request.path)
        return error_response(500, "internal", "the request failed; the server's log says why")


def _refused(error: web.HTTPException) -> web.Response:
    response = error_response(error.status, CODES.get(error.status, "bad_request"), error.reason)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = error.headers["Allow"]
    return response
