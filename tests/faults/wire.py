"""A TCP proxy between a client and a server on loopback that can cut, stall and slow connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK_BYTES = 1 << 16
LOOPBACK = "127.0.0.1"


class Wire:
    """Passes bytes between its own port and a server's until it is cut, stalled or slowed.

    A cut resets open connections and closes new ones at once. A stalled wire stays open and silent, like a
    half-open connection.
    """

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._is_cut = False
        self._cut_at: bytes | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self.delay_seconds = 0.0
        """Delay of each chunk of data from the client."""
        self.reply_delay_seconds = 0.0
        """Delay of each chunk of data from the server."""
        self.struck = 0
        """Number of connections cut, stalled or refused so far."""

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Reset every connection, and close new ones until mended."""
        self._is_cut = True
        self.reset()

    def stall(self) -> None:
        """Hold back all data in both directions until mended."""
        self.struck += self.connections
        self._passing.clear()

    def cut_before_reply_to(self, request: bytes) -> None:
        """Pass the next request that holds these bytes, and reset its connection before the reply."""
        self._cut_at = request

    def mend(self) -> None:
        """Pass all data again."""
        self._is_cut = False
        self._cut_at = None
        self.delay_seconds = self.reply_delay_seconds = 0.0
        self._passing.set()

    def reset(self) -> None:
        """Reset every connection once."""
        self.struck += self.connections
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self) -> asyncio.Server:
        """Listen on the wire's own port."""
        return await asyncio.start_server(self._accepted, LOOPBACK, self.port)

    async def close(self) -> None:
        """Close all connections."""
        self.reset()
        ending = [*self._connecting, *self._pumps]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn

    def _accepted(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        if self._is_cut:
            self.struck += 1
            client_out.transport.abort()
            return
        connecting = asyncio.ensure_future(self._connect(client_in, client_out))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)

    async def _connect(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_out: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError):
                server_in, server_out = await asyncio.open_connection(LOOPBACK, self._target_port)
        finally:
            if server_out is None:  # refused, or cancelled while the wire closes
                client_out.transport.abort()
        if server_out is None:
            return
        self._writers |= {client_out, server_out}
        for source, sink, other, asks in (
            (client_in, server_out, client_out, True),
            (server_in, client_out, server_out, False),
        ):
            pump = asyncio.ensure_future(self._pump(source, sink, other, asks))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        asks: bool,
    ) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(CHUNK_BYTES):
                    if delay_seconds := self.delay_seconds if asks else self.reply_delay_seconds:
                        self.struck += 1
                        await asyncio.sleep(delay_seconds)
                    await self._passing.wait()
                    sink.write(data)
                    await sink.drain()
                    if asks and self._cut_at is not None and self._cut_at in data:
                        self._cut_at = None
                        self.struck += 1
                        other.transport.abort()
                        # The server must read the request before it sees the end of the connection.
                        await asyncio.sleep(0.2)
                        return
        finally:
            for writer in (sink, other):
                self._writers.discard(writer)
                writer.close()


@asynccontextmanager
async def wire(port: int, target_port: int) -> AsyncIterator[Wire]:
    """Keep a wire open."""
    made = Wire(port, target_port)
    server = await made.serve()
    try:
        yield made
    finally:
        server.close()
        await made.close()
