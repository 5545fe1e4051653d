"""The worker's one web port: accepts connections, and decides which process answers each."""

import asyncio
import errno
import socket
from collections.abc import Callable

import structlog

from tally.streams.processes.passing import Adopt, pass_on, readable
from tally.streams.web.connections import HEAD_SECONDS, Closed
from tally.streams.web.serving import BACKLOG, CONNECTIONS

log = structlog.get_logger()

PARENTS_OWN = (b"/metrics", b"/health/")
"""Beginnings of the paths that concern all processes."""
LOOK_BYTES = 64
LONGEST_METHOD = 16
LOOK_AGAIN_SECONDS = 0.02
NO_DESCRIPTOR_SECONDS = 1.0


class NotServed(Exception):
    """The address of the web port cannot be listened to; the message names it."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(f"port {port} of {host} cannot be served on: {error.strerror}")


def is_parents(head: bytes) -> bool | None:
    """Return whether the parent answers a request with these first bytes; None if they are too few. Pure.

    All else goes to the view, which knows what to say to it. A client that asks both over one connection is
    answered all the same: the view's process asks the parent.
    """
    method, space, target = head.partition(b" ")
    if not space:
        return None if len(method) < LONGEST_METHOD else False
    if any(own.startswith(target) and own != target for own in PARENTS_OWN):
        return None
    return target.startswith(PARENTS_OWN)


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
    """Accepts connections, reads how each begins without taking it, and gives it away."""

    def __init__(
        self, adopt: Adopt, to_view: Callable[[], socket.socket | None], closed: Callable[[Closed], None]
    ) -> None:
        self._adopt = adopt
        self._to_view = to_view
        """The way to the process with the view; None while there is none."""
        self._closed = closed
        self._undecided: dict[asyncio.Task[None], socket.socket] = {}

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
            task = asyncio.create_task(self._decide(accepted))
            self._undecided[task] = accepted
            task.add_done_callback(self._undecided.pop)
            if len(self._undecided) > CONNECTIONS:
                self._closed("crowded")
                next(iter(self._undecided)).cancel()

    def __len__(self) -> int:
        """Return the number of connections of which nobody knows yet what they ask."""
        return len(self._undecided)

    async def _decide(self, accepted: socket.socket) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                is_ours = await _look(accepted)
        except TimeoutError:
            self._closed("no_request")
            accepted.close()
            return
        except (asyncio.CancelledError, OSError):
            accepted.close()
            return
        way = None if is_ours else self._to_view()
        if way is None or not pass_on(way, accepted):
            await self._adopt(accepted)


async def _look(accepted: socket.socket) -> bool:
    """Return whether the parent answers a connection, by what its first bytes say. Raises OSError."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            head = accepted.recv(LOOK_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            await readable(loop, accepted)
            continue
        if not head:
            raise ConnectionResetError
        if (is_ours := is_parents(head)) is not None:
            return is_ours
        await asyncio.sleep(LOOK_AGAIN_SECONDS)  # what is there already would be reported as readable
