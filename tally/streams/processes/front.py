"""The worker's port for the read API, which the parent listens on for the process with the view."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

import structlog

from tally.streams.processes.passing import Adopt, pass_on
from tally.streams.web.serving import BACKLOG

log = structlog.get_logger()

NO_DESCRIPTOR_SECONDS = 1.0


class NotServed(Exception):
    """An address cannot be listened to; the message names it."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        # asyncio repeats the address in its errors' texts.
        said = os.strerror(error.errno) if error.errno else str(error)
        super().__init__(f"port {port} of {host} cannot be served on: {said}")


def listeners(host: str, port: int) -> list[socket.socket]:
    """Listen on each address of a host. Raises NotServed where there is none, or one of them is taken."""
    found: list[socket.socket] = []
    try:
        _listen(found, host, port)
    except OSError as error:
        for one in found:
            one.close()
        raise NotServed(host, port, error) from None
    return found


def _listen(found: list[socket.socket], host: str, port: int) -> None:
    missing: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        try:
            found.append(_listener(socket.socket(family, kind, protocol), address))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            missing = error  # `localhost` names an address of IPv6 on machines that have none
    if missing is not None and not found:
        raise missing


def _listener(one: socket.socket, address: tuple[object, ...]) -> socket.socket:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        one.bind(address)
    except OSError:
        one.close()
        raise
    one.listen(BACKLOG)
    one.setblocking(False)
    return one


class Front:
    """Accepts connections, and gives each to the process with the view without reading anything of it."""

    def __init__(self, adopt: Adopt, to_view: Callable[[], socket.socket | None]) -> None:
        self._adopt = adopt
        """Serves a connection that the view's process does not take."""
        self._to_view = to_view
        """The way to the process with the view; None while there is none."""

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor is left, or the client is gone already
                log.warning("cannot accept a connection", error=str(error))
                await asyncio.sleep(NO_DESCRIPTOR_SECONDS)
                continue
            way = self._to_view()
            if way is None or not pass_on(way, accepted):
                try:
                    await self._adopt(accepted)
                except OSError as error:  # the client is gone already
                    log.info("a connection was not served", error=str(error))
                    accepted.close()
