"""The connection to a PBX: address lookup, reading and writing, with deadlines."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from tally.streams.ami.errors import SessionLost
from tally.streams.ami.framing import action
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.ports import CollectorConfig

Lookup = Callable[[str], list[str]]


def look_up(host: str) -> list[str]:
    """Return the addresses of a host name. Raises OSError, and UnicodeError if it is not a valid name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Addresses:
    """Looks up host names in dedicated threads, one at a time for each name.

    The event loop's own resolver shares a few threads with all other work. A hanging lookup holds its thread
    until the system's time-out of the name server, regardless of the deadline here.
    """

    def __init__(self, lookup: Lookup = look_up) -> None:
        self._lookup = lookup
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str) -> list[str]:
        """Return a name's addresses. The caller sets the deadline; a later call joins a running lookup."""
        running = self._running.get(host)
        if running is None:
            running = self._running[host] = asyncio.get_running_loop().create_future()
            running.add_done_callback(lambda done: self._ended(host, done))
            threading.Thread(target=self._run, args=(host, running), daemon=True).start()
        return await asyncio.shield(running)

    def _ended(self, host: str, done: "asyncio.Future[list[str]]") -> None:
        self._running.pop(host, None)
        # Otherwise the loop reports the error of a lookup whose caller has given up.
        _ = done.cancelled() or done.exception()

    def _run(self, host: str, found: "asyncio.Future[list[str]]") -> None:
        addresses: list[str] = []
        with suppress(OSError, UnicodeError):
            addresses = self._lookup(host)
        loop = found.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, found, addresses)


def _resolve(found: "asyncio.Future[list[str]]", addresses: list[str]) -> None:
    if found.done():
        return
    if addresses:
        found.set_result(addresses)
    else:
        found.set_exception(OSError("the name of the PBX cannot be resolved"))


CHUNK_BYTES = 64 << 10
LIMIT_BYTES = 512 << 10
"""How far the event loop reads ahead: Asterisk ends a session that reads nothing for 100 ms."""


class Connection:
    """An open connection to a PBX."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, config: CollectorConfig
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._config = config

    async def read(self) -> bytes:
        """Return the next bytes. Raises SessionLost if the PBX has closed the connection.

        There is no deadline here: answers to Ping show whether the PBX is silent for too long.
        """
        data = await self._reader.read(CHUNK_BYTES)
        if not data:
            raise SessionLost("the PBX closed the connection")
        return data

    async def send(self, data: bytes) -> None:
        """Send an action; the caller sets the deadline."""
        self._writer.write(data)
        await self._writer.drain()

    async def log_off(self, action_id: str) -> None:
        """Log off and close; give up after `close_seconds` if the PBX no longer listens."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._config.close_seconds):
                await self.send(action("Logoff", action_id))
                self._writer.close()
                await self._writer.wait_closed()

    def close(self) -> None:
        """Close at once and drop unsent bytes."""
        self._writer.transport.abort()


async def connect(pbx: Pbx, config: CollectorConfig, addresses: Addresses) -> Connection:
    """Open a connection. Raises OSError, also for TLS errors, and SessionLost after the deadline."""
    try:
        async with asyncio.timeout(config.connect_seconds):
            return await _open(pbx, config, await addresses.resolve(pbx.host))
    except TimeoutError:
        raise SessionLost(f"no connection within {config.connect_seconds:g} s") from None


async def _open(pbx: Pbx, config: CollectorConfig, addresses: Sequence[str]) -> Connection:
    """Open a connection to the first address that accepts one."""
    context = pbx.ssl_context()
    name = pbx.host if context else None
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return Connection(*await _connected(address, pbx.port, context, name), config)
    return Connection(*await _connected(last, pbx.port, context, name), config)


async def _connected(
    address: str, port: int, context: ssl.SSLContext | None, name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(address, port, ssl=context, server_hostname=name, limit=LIMIT_BYTES)
