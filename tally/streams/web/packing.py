"""Compression of answers: gzip for JSON of more than a kilobyte, if the client takes it. Never of streams."""

import asyncio
import gzip

from aiohttp import web

from tally.streams.web.responses import Handler

LEAST_BYTES = 1_024
LEVEL = 5
IN_THREAD_BYTES = 64 << 10
"""A body of more than this is compressed in a thread: it takes some milliseconds."""
VARY = "Accept-Encoding, Authorization, Cookie"
"""What answers depend on beside the address. Their tags are weak, so one tag is right for both encodings."""


def takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header takes gzip (RFC 9110, 12.5.3). Pure."""
    weights: dict[str, str] = {}
    for part in accepted.lower().split(","):
        coding, *parameters = (one.strip() for one in part.split(";"))
        weights[coding] = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    weight = weights.get("gzip", weights.get("*", "0"))
    try:
        return float(weight) > 0
    except ValueError:
        return False


@web.middleware
async def packed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say what an answer depends on, and compress it where that is worth it."""
    response = await handler(request)
    if not isinstance(response, web.Response):
        return response
    response.headers.setdefault("Vary", VARY)
    if (
        isinstance(response.body, bytes)
        and len(response.body) > LEAST_BYTES
        and response.content_type == "application/json"
        and takes_gzip(request.headers.get("Accept-Encoding", ""))
    ):
        response.body = await _gzip(response.body)
        response.headers["Content-Encoding"] = "gzip"
    return response


async def _gzip(body: bytes) -> bytes:
    if len(body) > IN_THREAD_BYTES:
        return await asyncio.to_thread(gzip.compress, body, LEVEL)
    return gzip.compress(body, LEVEL)
