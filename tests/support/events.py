"""A bare client of server-sent events, and a proxy that sends each connection to the next server."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import orjson

from tests.support.keys import SHOWN

SECONDS = 10.0
"""How long a test waits for a frame."""


class Event(NamedTuple):
    """One event as a browser would hand it out."""

    event: str
    body: Any
    id: str | None
    retry_ms: int | None


class Stream:
    """An open stream."""

    def __init__(
        self, status: int, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.status = status
        self.head = head
        self.writer = writer
        self._reader = reader

    async def next(self) -> Event:
        """Return the next event. Raises EOFError at the end of the stream, TimeoutError if none comes."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            while (line := await self._line()) or not fields:
                name, _, value = line.partition(": ")
                fields[name] = value
                fields.pop("", None)
        retry = fields.get("retry")
        return Event(
            fields["event"],
            orjson.loads(fields["data"]),
            fields.get("id"),
            None if retry is None else int(retry),
        )

    async def skip(self) -> None:
        """Read the next event, whatever it says. Raises EOFError at the end of the stream."""
        while await self._line():
            pass

    async def until(self, *events: str) -> Event:
        """Return the next event of one of these kinds."""
        while (event := await self.next()).event not in events:
            pass
        return event

    async def _line(self) -> str:
        line = await self._reader.readline()
        if not line:
            raise EOFError
        return line.decode().removesuffix("\n")


@asynccontextmanager
async def stream(
    port: int, target: str, last_id: str | None = None, headers: Mapping[str, str] = SHOWN
) -> AsyncIterator[Stream]:
    """Open a stream; HTTP/1.0, so that its body comes without framing of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        sent = {"Host": "localhost", **headers}
        if last_id is not None:
            sent["Last-Event-ID"] = last_id
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"GET {target} HTTP/1.0\r\n{lines}\r\n".encode())
        async with asyncio.timeout(SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        yield Stream(int(head.split()[1]), head, reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


class Proxy:
    """A proxy in front of several servers; each new connection goes to the next one."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._taken = 0
        self._open: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[None]] = set()
        self.port = 0

    def lead_to(self, *ports: int) -> None:
        """Cut all connections, and lead new ones to these servers; without one they are cut at once."""
        self._ports = ports
        self.cut()

    def cut(self) -> None:
        """Cut all connections at once, as a killed server does."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        both = [writer]
        self._open.append(writer)
        try:
            if not self._ports:
                return
            port = self._ports[self._taken % len(self._ports)]
            self._taken += 1
            behind_reader, behind = await asyncio.open_connection("127.0.0.1", port)
            both.append(behind)
            self._open.append(behind)
            with suppress(ConnectionError):
                await asyncio.gather(_pass(reader, behind), _pass(behind_reader, writer))
        finally:
            for one in both:
                one.transport.abort()
            self._serving.discard(task)

    async def end(self) -> None:
        """Cut all connections, and wait until nothing of them is left: the next test has another loop."""
        self.cut()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn


@asynccontextmanager
async def proxy(*ports: int) -> AsyncIterator[Proxy]:
    """Serve a proxy on a port of its own."""
    running = Proxy(ports)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        await running.end()
        await server.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
