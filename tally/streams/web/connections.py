"""The connections of a web server: how many there may be, and how long each may keep it waiting."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from aiohttp.web import RequestHandler

HEAD_SECONDS = 10.0
"""From a connection, or from the first byte of a request, to the end of its head."""
READ_SECONDS = 60.0
"""How long a client may take to read an answer."""
KEEP_ALIVE_SECONDS = 75.0
"""How long a connection may be idle; longer than the usual 60 s of a proxy, which then closes first."""
EXPIRY_SECONDS = 1.0

Closed = Literal["no_request", "not_read", "crowded", "full"]
"""Why a connection was closed: no whole request came in time, its answer was not read, another needed the
room, or no room was left since all others were being answered."""
CLOSED: tuple[Closed, ...] = get_args(Closed)


class Connection(asyncio.Protocol):
    """One connection: hands everything on to aiohttp's protocol, and knows what it waits for."""

    def __init__(self, handler: RequestHandler, connections: "Connections") -> None:
        self._handler = handler
        self._connections = connections
        self.transport: asyncio.Transport | None = None
        self.in_hand = 0
        """Requests that are being answered."""
        self.since_s = 0.0
        """When something last happened: it was opened, bytes came, or an answer was made."""
        self.head_since_s: float | None = None
        """Since when a request is awaited whose beginning, or whose connection, is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection, if there is room."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a server's connections are
        self.transport = transport
        self.since_s = self.head_since_s = self._connections.now_s()
        self._handler.connection_made(transport)
        self._connections.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes on; while no request is in hand they are the beginning of one."""
        self.since_s = self._connections.now_s()
        if not self.in_hand and self.head_since_s is None:
            self.head_since_s = self.since_s
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that the client writes no more."""
        self._handler.eof_received()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._connections.lost(self)
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on that the client reads slowly."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it reads again."""
        self._handler.resume_writing()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Note that a request has come, and when its answer is made."""
        self.in_hand += 1
        self.head_since_s = None
        try:
            yield
        finally:
            self.in_hand -= 1
            self.since_s = self._connections.now_s()

    def overdue(self, now_s: float) -> Closed | None:
        """Return why the connection has had its time."""
        if self.in_hand:
            return None
        if self.head_since_s is not None and now_s - self.head_since_s > HEAD_SECONDS:
            return "no_request"
        is_unread = self.transport is not None and self.transport.get_write_buffer_size() > 0
        return "not_read" if is_unread and now_s - self.since_s > READ_SECONDS else None

    def end(self) -> None:
        """Close at once: what was not read by now is not waited for."""
        if self.transport is not None:
            self.transport.abort()


class Connections:
    """All connections of a server. Beyond `most`, whichever has waited longest makes room for a new one.

    So silent connections, however many, keep out nobody who asks: a limit alone would.
    """

    def __init__(self, most: int, now_s: Callable[[], float], closed: Callable[[Closed], None]) -> None:
        self.now_s = now_s
        self._most = most
        self._closed = closed
        self._open: dict[asyncio.BaseTransport, Connection] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        """Return all of them."""
        return iter(list(self._open.values()))

    def of(self, transport: asyncio.BaseTransport | None) -> Connection | None:
        """Return the connection of a transport."""
        return None if transport is None else self._open.get(transport)

    def opened(self, connection: Connection) -> None:
        """Take a new connection; close the one that waits longest where there are too many."""
        assert connection.transport is not None  # noqa: S101 - it has just been made
        idle = [one for one in self._open.values() if not one.in_hand]
        self._open[connection.transport] = connection
        if len(self._open) <= self._most:
            return
        if idle:
            self._end(min(idle, key=lambda one: one.since_s), "crowded")
        else:
            self._end(connection, "full")

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        if connection.transport is not None:
            self._open.pop(connection.transport, None)

    def expire(self) -> None:
        """Close what has had its time."""
        now_s = self.now_s()
        for connection in self:
            if (reason := connection.overdue(now_s)) is not None:
                self._end(connection, reason)

    def _end(self, connection: Connection, reason: Closed) -> None:
        self._closed(reason)
        self.lost(connection)
        connection.end()
