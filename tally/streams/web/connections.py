"""The connections of a web server: their number, and the time-outs of each."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, cast, get_args

from aiohttp import StreamReader
from aiohttp.http import RawRequestMessage
from aiohttp.web import RequestHandler, RequestKey

from tally.streams.runtime.metric_set import Metric

HEAD_SECONDS = 10.0
"""Limit from the start of a connection, or the first byte of a request, to the end of its head."""
READ_SECONDS = 60.0
"""How long a client may take to read an answer."""
KEEP_ALIVE_SECONDS = 75.0
"""How long a connection may be idle; longer than a proxy's usual 60 s, so the proxy closes first."""
EXPIRY_SECONDS = 1.0

Closed = Literal["no_request", "not_read", "crowded", "full"]
"""Why a connection was closed: no complete request came in time, the client did not read the answer, the
connection was evicted for a new one, or no other could be evicted because all had asked and were owed an
answer."""
CLOSED: tuple[Closed, ...] = get_args(Closed)

CONNECTION_METRICS = (
    Metric("tally_web_connections", "gauge", "connections to the web port"),
    Metric(
        "tally_web_connections_closed_total",
        "counter",
        "connections closed: no request in 10 s, answer not read in 60 s, too many, or all of them in use",
        ("reason",),
        tuple((reason,) for reason in CLOSED),
    ),
)


class MalformedBody(Exception):
    """What follows the begin of a body is no HTTP."""


class Connection(asyncio.Protocol):
    """One connection: passes everything to aiohttp's protocol and tracks what it waits for."""

    def __init__(self, handler: RequestHandler, connections: "Connections") -> None:
        self._handler = handler
        self._connections = connections
        self.transport: asyncio.Transport | None = None
        self.in_hand = 0
        """Number of requests being answered."""
        self.since_s = 0.0
        """Time of the last activity: the connection opened, bytes came, or an answer was made."""
        self.head_since_s: float | None = None
        """Since when a complete request head is awaited; None while none is."""
        self._body: StreamReader | None = None
        self._is_malformed = False
        self.body_since_s: float | None = None
        """Since when somebody waits for the rest of a body; None while nobody does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a new connection if there is room."""
        self.transport = cast(asyncio.Transport, transport)  # a server's connections are
        self.since_s = self.head_since_s = self._connections.now_s()
        self._handler.connection_made(transport)
        self._connections.opened(self)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on; if no request is being answered, they begin a new one."""
        self.since_s = self._connections.now_s()
        if not self.in_hand and self.head_since_s is None:
            self.head_since_s = self.since_s
        self._handler.data_received(data)
        # What aiohttp cannot read is for it the next request, even where it belongs to a body.
        messages = self._handler._messages
        if self._body is not None and messages and not isinstance(messages[-1][0], RawRequestMessage):
            self._is_malformed = True
            self._body.feed_eof()

    def eof_received(self) -> bool | None:
        """Pass on that the client has closed its sending side."""
        self._handler.eof_received()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._connections.lost(self)
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the client reads too slowly."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the client reads again."""
        self._handler.resume_writing()

    def request_begins(self) -> None:
        """Note that a request is being answered."""
        self.in_hand += 1
        self.head_since_s = None

    def request_ends(self) -> None:
        """Note that its answer is made, or that there will be none."""
        self.in_hand -= 1
        self.since_s = self._connections.now_s()

    @contextmanager
    def body_comes(self, body: StreamReader) -> Iterator[None]:
        """Note that the rest of a body is awaited, as a context. Raises MalformedBody at its end."""
        self._body, self.body_since_s = body, self._connections.now_s()
        try:
            yield
        finally:
            self._body = self.body_since_s = None
        if self._is_malformed:
            raise MalformedBody

    def overdue(self, now_s: float) -> Closed | None:
        """Return why the connection is to be closed now, or None."""
        if self.in_hand:
            return None
        if self.head_since_s is not None and now_s - self.head_since_s > HEAD_SECONDS:
            return "no_request"
        is_unread = self.transport is not None and self.transport.get_write_buffer_size() > 0
        return "not_read" if is_unread and now_s - self.since_s > READ_SECONDS else None

    def end(self) -> None:
        """Close at once, without waiting for the client to read the rest."""
        if self.transport is not None:
            self.transport.abort()


CONNECTION: RequestKey[Connection] = RequestKey("connection", Connection)
"""The connection over which a request has come."""


class Connections:
    """All connections of a server. Beyond `most`, a new connection evicts the one idle for longest.

    If none is idle, it evicts the one whose body has been coming for longest. With a limit alone, enough
    silent connections would keep out every client.
    """

    def __init__(self, most: int, now_s: Callable[[], float], closed: Callable[[Closed], None]) -> None:
        self.now_s = now_s
        self._most = most
        self._closed = closed
        self._open: dict[asyncio.BaseTransport, Connection] = {}

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        """Iterate over a snapshot of all connections."""
        return iter(list(self._open.values()))

    def of(self, transport: asyncio.BaseTransport | None) -> Connection | None:
        """Return the connection of a transport."""
        return None if transport is None else self._open.get(transport)

    def opened(self, connection: Connection) -> None:
        """Add a new connection; of too many close one that waits for its client, else the new one."""
        assert connection.transport is not None  # noqa: S101 - it has just been made
        self._open[connection.transport] = connection
        if len(self._open) <= self._most:
            return
        others = [one for one in self._open.values() if one is not connection]
        idle = [(one.since_s, one) for one in others if not one.in_hand]
        sending = [(one.body_since_s, one) for one in others if one.body_since_s is not None]
        if waits := idle or sending:
            self._end(min(waits, key=lambda one: one[0])[1], "crowded")
        else:
            self._end(connection, "full")

    def lost(self, connection: Connection) -> None:
        """Remove a closed connection."""
        if connection.transport is not None:
            self._open.pop(connection.transport, None)

    def expire(self) -> None:
        """Close every overdue connection."""
        now_s = self.now_s()
        for connection in self:
            if (reason := connection.overdue(now_s)) is not None:
                self._end(connection, reason)

    def _end(self, connection: Connection, reason: Closed) -> None:
        self._closed(reason)
        self.lost(connection)
        connection.end()
