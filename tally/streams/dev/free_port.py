"""Finding a port to listen on."""

from itertools import chain

from tally.deploy.local.ports import LOOPBACK, is_free, random_ports


def free_port(wanted: int, host: str = LOOPBACK) -> int:
    """Return the wanted port if it is free, else another free port. Raises OSError if there is none.

    Not one that the system would choose (port 0): until somebody listens on it, a client may get it as the
    port that it connects from.
    """
    for port in chain((wanted,) if wanted else (), random_ports()):
        if is_free(port, host):
            return port
    raise OSError("no free port")
