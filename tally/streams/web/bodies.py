"""JSON bodies and entity tags."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

NO_CACHE = {"Cache-Control": "no-cache"}
"""A cache may keep an answer but asks again before it uses it: numbers move."""


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={**NO_CACHE, **(headers or {})},
    )


def with_receipt(answer: bytes, receipt: Any, headers: Mapping[str, str]) -> web.Response:
    """Return an answer, a JSON object with members, and its receipt as the last of them."""
    body = b"".join((answer[:-1], b',"receipt":', orjson.dumps(receipt), b"}"))
    return web.Response(body=body, content_type="application/json", headers={**NO_CACHE, **headers})


def unchanged(request: web.Request, tag: str) -> web.Response | None:
    """Return 304 where the client says that it has the answer of this tag (RFC 9110, 13.1.2)."""
    for known in request.if_none_match or ():
        # Weak comparison: two answers of one tag differ in their receipts' time and lag.
        if known.value in ("*", tag):
            return web.Response(status=304, headers=tagged(tag))
    return None


def tagged(tag: str) -> dict[str, str]:
    """Return the headers of an answer that a later request can name."""
    return {**NO_CACHE, "ETag": f'W/"{tag}"'}
