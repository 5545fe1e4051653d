"""Names of PBXs to addresses, so that one name whose server does not answer holds up nothing else."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Lookup = Callable[[str], list[str]]


def look_up(host: str) -> list[str]:
    """Return the addresses of a name. Raises OSError, and UnicodeError for what is no name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Addresses:
    """Looks up names in threads of their own, one at a time for each name.

    The event loop's own resolver shares a few threads with everything, and a lookup that hangs keeps its
    thread for as long as the system waits for the name server, whatever the deadline here.
    """

    def __init__(self, lookup: Lookup = look_up) -> None:
        self._lookup = lookup
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str) -> list[str]:
        """Return a name's addresses. The caller has the deadline; one that runs on is waited for again."""
        running = self._running.get(host)
        if running is None:
            running = self._running[host] = asyncio.get_running_loop().create_future()
            running.add_done_callback(lambda done: self._ended(host, done))
            threading.Thread(target=self._run, args=(host, running), daemon=True).start()
        return await asyncio.shield(running)

    def _ended(self, host: str, done: "asyncio.Future[list[str]]") -> None:
        self._running.pop(host, None)
        # Else the loop reports an error that nobody waited for any more.
        _ = done.cancelled() or done.exception()

    def _run(self, host: str, found: "asyncio.Future[list[str]]") -> None:
        addresses: list[str] = []
        with suppress(OSError, UnicodeError):
            addresses = self._lookup(host)
        loop = found.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, found, addresses)


def _settle(found: "asyncio.Future[list[str]]", addresses: list[str]) -> None:
    if found.done():
        return
    if addresses:
        found.set_result(addresses)
    else:
        found.set_exception(OSError("the name of the PBX cannot be resolved"))
