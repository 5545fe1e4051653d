"""The choice of a server's loopback port."""

import socket
from collections.abc import Callable, Iterator
from random import SystemRandom

from tally.deploy.local.errors import PortTaken

LOOPBACK = "127.0.0.1"
# Below the ephemeral ports. Otherwise a client that keeps reconnecting to a stopped server may get the
# server's own port as its source port, connect to itself, and keep the server from starting again.
FALLBACK_PORTS = range(20_000, 32_000)
FALLBACK_TRIES = 100


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def random_ports() -> Iterator[int]:
    """Return ports to try if the default port is taken."""
    random = SystemRandom()
    return (random.choice(FALLBACK_PORTS) for _ in range(FALLBACK_TRIES))


def choose_port(
    name: str,
    wanted: int | None,
    default: int,
    free: Callable[[int], bool] = is_free,
    fallback: Callable[[], Iterator[int]] = random_ports,
) -> int:
    """Return the port for a server. Raises PortTaken.

    `wanted` is taken exactly, but None prefers `default` and falls back to a free port, and 0 takes any.
    """
    if wanted:
        if not free(wanted):
            raise PortTaken(name, wanted)
        return wanted
    if wanted is None and free(default):
        return default
    for port in fallback():
        if free(port):
            return port
    raise PortTaken(name, default)
