"""A web server with time-outs and a limit of connections, so silent clients cannot block it."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from aiohttp import HttpVersion11, web, web_response, web_urldispatcher

from tally.streams.runtime.descriptors import most_descriptors
from tally.streams.web.complaints import bounded_logger
from tally.streams.web.connections import (
    CONNECTION,
    EXPIRY_SECONDS,
    KEEP_ALIVE_SECONDS,
    Closed,
    Connection,
    Connections,
)
from tally.streams.web.fast_path import FastPath, FastPathConnection
from tally.streams.web.responses import SECURITY_HEADERS, SERVER, Handler, error_response

CONNECTIONS = 1_536
SHARE = 4
"""At most one descriptor in `SHARE` is for connections; files and Kafka need the others."""
BACKLOG = 128
STOP_SECONDS = 1.0
LINGER_SECONDS = 2.0
"""How long the rest of a refused body is read, so that its sender sees the answer before the end."""

# By default all answers, also those not made by our handlers, reveal the versions of Python and aiohttp.
web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]


async def _go_on(request: web.Request) -> None:
    """Tell who waits for it to send a body; what else a request expects changes nothing (RFC 9110, 10.1.1).

    aiohttp's own answers before the application does, to everybody, and repeats what came.
    """
    is_awaited = request.headers.get("Expect", "").lower() == "100-continue"
    if is_awaited and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


# For every route, also those of 404 and 405, which nothing else reaches.
web_urldispatcher._default_expect_handler = _go_on


class _Protocol(web.RequestHandler):
    """aiohttp's protocol, with our answer to what it cannot read.

    Its own repeats what came, which behind a proxy may be a part of somebody else's request, with their key.
    """

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that failed outside of the application, in the common shape."""
        super().handle_error(request, status, exc, message)
        is_theirs = status < 500
        response = error_response(
            status,
            "bad_request" if is_theirs else "internal",
            "the request is malformed HTTP" if is_theirs else "the request failed; the server's log says why",
        )
        response.headers.update(SECURITY_HEADERS)
        response.force_close()
        return response


def most_connections() -> int:
    """Return how many connections a server of this process takes."""
    return max(1, min(CONNECTIONS, most_descriptors() // SHARE))


class WebServer:
    """Server of one application on one address."""

    def __init__(
        self,
        app: web.Application,
        closed: Callable[[Closed], None] = lambda _: None,
        *,
        stop_seconds: float = STOP_SECONDS,
        shares_port: bool = False,
        fast_path: FastPath | None = None,
    ) -> None:
        self.connections = Connections(most_connections(), time.monotonic, closed)
        app.middlewares.insert(0, self._in_hand)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=bounded_logger(time.monotonic),
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=stop_seconds,
            lingering_time=LINGER_SECONDS,
            # Whoever takes bodies takes them as they are: a few kilobytes could unpack to gigabytes.
            auto_decompress=False,
        )
        self._shares_port = shares_port
        """Whether other processes may listen on the same port; Linux spreads connections over them."""
        self._fast_path = fast_path
        """What answers usual requests before they come to the application; None where nothing does."""
        self._server: asyncio.Server | None = None
        self._expiring: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Start to listen. Raises OSError if the port is taken."""
        await self.prepare()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection,
            host,
            port,
            backlog=BACKLOG,
            reuse_address=True,
            reuse_port=self._shares_port or None,
        )

    async def prepare(self) -> None:
        """Get ready to serve connections that others accept, without listening."""
        await self._runner.setup()
        self._expiring = asyncio.create_task(self._expire())

    async def adopt(self, accepted: socket.socket) -> None:
        """Serve a connection that is open already; it is closed here from now on."""
        await asyncio.get_running_loop().connect_accepted_socket(self._connection, accepted)

    async def stop(self) -> None:
        """Accept no more connections, give requests being answered their time, and close."""
        if self._expiring is not None:
            self._expiring.cancel()
            with suppress(asyncio.CancelledError):
                await self._expiring
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> Connection:
        protocols = self._runner.server
        assert protocols is not None  # noqa: S101 - it is set up
        protocol = protocols()
        protocol.__class__ = _Protocol  # nothing lets one name the class; this one adds no fields
        if self._fast_path is None:
            return Connection(protocol, self.connections)
        return FastPathConnection(protocol, self.connections, self._fast_path)

    @web.middleware
    async def _in_hand(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = self.connections.of(request.transport)
        if connection is None:
            return await handler(request)
        request[CONNECTION] = connection
        connection.request_begins()
        try:
            return await handler(request)
        finally:
            connection.request_ends()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            self.connections.expire()
