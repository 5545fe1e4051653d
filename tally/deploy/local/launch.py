"""Starting a server and waiting until it serves, with a retry if another program takes the port."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from tally.deploy.local.errors import ServerDidNotStart
from tally.deploy.local.processes import wait_until

PORT_TRIES = 3
PORT_LOST = "Address already in use"
LOG_END_BYTES = 4000


class Beginning(Protocol):
    """A server whose process has begun."""

    @property
    def name(self) -> str:
        """The server's name in messages."""

    @property
    def log_path(self) -> Path:
        """The output of this process."""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""

    def is_ready(self) -> bool:
        """Return whether it serves clients."""

    def abandon(self) -> None:
        """Kill the process."""


Server = TypeVar("Server", bound=Beginning)


def launch(begin: Callable[[], Server], deadline_seconds: float) -> Server:
    """Begin a server, and return it once it serves. Raises ServerDidNotStart and what `begin` raises."""
    for _attempt in range(PORT_TRIES - 1):
        try:
            return _await_ready(begin(), deadline_seconds)
        except ServerDidNotStart as error:
            # Another program may take the port between our check and the server's bind.
            if PORT_LOST not in error.log_end:
                raise
    return _await_ready(begin(), deadline_seconds)


def _await_ready(server: Server, deadline_seconds: float) -> Server:
    try:
        seen = wait_until(lambda: not server.alive or server.is_ready(), deadline_seconds)
        if not seen or not server.alive:
            why = "exited at its start" if seen else f"was not ready in {deadline_seconds:.0f} s"
            raise ServerDidNotStart(server.name, why, server.log_path, log_end(server.log_path))
    except BaseException:
        server.abandon()
        raise
    return server


def log_end(path: Path) -> str:
    """Return the last lines of a log."""
    return path.read_bytes()[-LOG_END_BYTES:].decode("utf-8", "replace").strip()
