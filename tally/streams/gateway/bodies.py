"""Reading a request's body: bounded in bytes and time, as it was sent."""

import asyncio
from collections.abc import Sequence

from aiohttp import StreamReader, web

from tally.schemas.bounds import RECORD
from tally.streams.gateway.room import NoRoom, Share
from tally.streams.web.bodies import CutBody, coming

BODY_SECONDS = 10.0
"""How long a client may take to send a body."""
PLAINLY_WRITTEN = frozenset({"application/json", "application/x-ndjson"})
UNENCODED = frozenset({"", "identity"})


class Unread(Exception):
    """A body that is not taken: HTTP status, a code for programs, and why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


TOO_LARGE = f"a body may have at most {RECORD.most} bytes"
CUT = "cut"
FULL = "too many bodies are under way; send it again"


def checked_head(
    encodings: Sequence[str], content_type: str, expected: frozenset[str], length: int | None
) -> None:
    """Refuse a body by its headers, before any of it is read. Raises Unread. Pure.

    Compressed bodies are refused: the signature of a webhook is over its plain bytes, and 4 KB of gzip can be
    4 MB of JSON. Encodings may stand in several headers, in the order in which they were applied.
    """
    if not UNENCODED.issuperset(one.strip().lower() for one in encodings):
        raise Unread(
            415, "unsupported_encoding", "Content-Encoding must be left out: bodies are not unpacked"
        )
    if content_type not in expected:
        raise Unread(415, "unsupported_type", f"Content-Type must be {' or '.join(sorted(expected))}")
    if length is not None and length > RECORD.most:
        raise Unread(413, "too_large", TOO_LARGE)


async def read_body(request: web.Request, share: Share, expected: frozenset[str]) -> bytes:
    """Return a request's body. Raises Unread; the connection cannot be used again then."""
    length = request.content_length
    checked_head(request.headers.getall("Content-Encoding", ()), _type(request), expected, length)
    try:
        if length is not None and request.content.is_eof():
            # It came with its head, as most do: there is nothing to wait for.
            share.grow_to(length)
            return request.content.read_nowait()
        with coming(request):
            return await _read_pieces(request.content, share)
    except CutBody as error:
        raise Unread(400, CUT, str(error)) from None
    except NoRoom:
        raise Unread(503, "full", FULL) from None
    except TimeoutError:
        if share.is_taken:
            raise Unread(503, "full", FULL) from None
        raise Unread(408, "slow", f"the body did not come within {BODY_SECONDS:g} s") from None


async def _read_pieces(content: StreamReader, share: Share) -> bytes:
    """Return a body once all of it has come. Raises Unread, NoRoom, TimeoutError."""
    body = bytearray()

    def drop() -> None:
        body.clear()
        if not deadline.expired():  # or it ends by itself
            deadline.reschedule(asyncio.get_running_loop().time())

    async with asyncio.timeout(BODY_SECONDS) as deadline:
        with share.coming(drop):
            async for piece in content.iter_any():
                size_bytes = len(body) + len(piece)
                if size_bytes > RECORD.most:
                    raise Unread(413, "too_large", TOO_LARGE)
                share.grow_to(size_bytes)
                body += piece
    return bytes(body)


def _type(request: web.Request) -> str:
    """Return the media type; empty without the header, where aiohttp would say application/octet-stream."""
    written = request.headers.get("Content-Type", "")
    # What nearly all write is what it says; taking a header apart costs more than the signature.
    return written if written in PLAINLY_WRITTEN or not written else request.content_type.lower()
