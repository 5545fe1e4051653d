"""Finding a port to listen on."""

import socket


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """Return the wanted port if it is free, else another free port. Raises OSError if there is none."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")
