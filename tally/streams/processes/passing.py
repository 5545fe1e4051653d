"""Open connections on their way from a worker's parent process, which accepts them, to the one that answers.

The descriptor itself goes through a socket pair (SCM_RIGHTS), so no answer makes its way through the parent.

Rejected: a proxy in the parent, which costs each answer two more copies and one more turn of a scheduler that
is busy; and the port in the process that has the view, since neither metrics nor health would answer while it
hangs.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

MARK = b"."
"""A descriptor travels with at least one byte."""

Adopt = Callable[[socket.socket], Awaitable[None]]


def pass_on(way: socket.socket, accepted: socket.socket) -> bool:
    """Hand a connection to the process at the other end; return False if it takes none."""
    try:
        socket.send_fds(way, [MARK], [accepted.fileno()])
    except OSError:  # its queue is full since it hangs, or it is gone
        return False
    accepted.close()
    return True


async def receive(way: socket.socket, adopt: Adopt) -> None:
    """Let `adopt` have each connection that comes, until the other end is gone."""
    loop = asyncio.get_running_loop()
    way.setblocking(False)
    while True:
        try:
            mark, descriptors, _, _ = socket.recv_fds(way, len(MARK), 1)
        except BlockingIOError:
            await readable(loop, way)
            continue
        if not mark:
            return
        for descriptor in descriptors:
            accepted = socket.socket(fileno=descriptor)
            accepted.setblocking(False)
            try:
                await adopt(accepted)
            except OSError as error:  # the client is gone already
                log.info("a connection was not served", error=str(error))
                accepted.close()


async def readable(loop: asyncio.AbstractEventLoop, one: socket.socket) -> None:
    """Wait until there is something to read from a socket."""
    ready = loop.create_future()
    loop.add_reader(one.fileno(), lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(one.fileno())
