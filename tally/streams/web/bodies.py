"""Bodies that come piece by piece, and those that never come whole."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from aiohttp import web

from tally.streams.web.connections import CONNECTION, MalformedBody


class CutBody(Exception):
    """A body that never comes whole; the message says why."""


@contextmanager
def coming(request: web.Request) -> Iterator[None]:
    """Read a request's body, as a context. Raises CutBody.

    Meanwhile its connection may be closed for a new one, if there are too many: it waits for its client.
    """
    connection = request.get(CONNECTION)
    try:
        with nullcontext() if connection is None else connection.body_comes(request.content):
            yield
    except MalformedBody:
        raise CutBody("the rest of the body is malformed HTTP") from None
    except (OSError, RuntimeError):
        # aiohttp says either, by whether somebody waits for the body when the connection ends.
        if request.transport is not None:
            raise
        raise CutBody("the connection ended before the body") from None
