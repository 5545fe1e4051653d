"""Which gateways may listen on one port together: those of one deployment.

Linux spreads the connections of a port over all that listen on it, whoever they belong to. With another
deployment on it, a part of the webhooks would be answered with 200 and counted elsewhere.

Each gateway binds a Unix socket in the abstract namespace, whose name says its port and deployment, and reads
the names of the others. Such names are seen by exactly the processes that ports are shared with (those of
one network namespace), and end with their process, however it ends. A lock on a file would not be seen by a
service that has a /tmp of its own.
"""

import secrets
import socket
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

PREFIX = "tally-gateway"
NAMES = Path("/proc/net/unix")
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not listened on
LONGEST_HOST = 48
"""Characters of a host that a name holds; a name has 107 bytes."""


class PortOfAnother(Exception):
    """A gateway of another deployment listens on the port."""

    def __init__(self) -> None:
        super().__init__(
            "a gateway with other brokers (TALLY_KAFKA_BOOTSTRAP) or another TALLY_TOPIC_PREFIX listens there"
        )


class Claim(Struct, frozen=True):
    """A port, and for whom it is listened on."""

    port: int
    host: str
    deployment: str

    @property
    def text(self) -> str:
        """The claim as the name of a socket begins."""
        return f"{PREFIX}|{self.port}|{self.host}|{self.deployment}"

    def contradicts(self, other: "Claim") -> bool:
        """Return whether both cannot hold: the same address, and another deployment. Pure."""
        is_same_host = self.host == other.host or not EVERYWHERE.isdisjoint({self.host, other.host})
        return self.port == other.port and is_same_host and self.deployment != other.deployment


def deployment_of(bootstrap: Iterable[str], topic_prefix: str) -> str:
    """Return a short digest of what makes two gateways publish to the same topics. Pure."""
    return sha256("\0".join([topic_prefix, *sorted(bootstrap)]).encode()).hexdigest()[:12]


def claims_in(names: Iterable[str]) -> list[Claim]:
    """Return the claims among names of sockets. Pure."""
    found = []
    for name in names:
        prefix, _, rest = name.partition("|")
        port, host, deployment, *_ = [*rest.split("|"), "", "", ""]
        if prefix == PREFIX and port.isdecimal():
            found.append(Claim(int(port), host, deployment))
    return found


def claim(port: int, host: str, deployment: str) -> socket.socket | None:
    """Claim a port for as long as the returned socket is open. Raises PortOfAnother.

    Where two deployments begin at the same moment, both may be refused. None where there are no such sockets.
    """
    if sys.platform != "linux":
        return None
    wanted = Claim(port, host[:LONGEST_HOST], deployment)
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.bind(f"\0{wanted.text}|{secrets.token_hex(4)}")
    if any(wanted.contradicts(other) for other in claims_in(_names())):
        ours.close()
        raise PortOfAnother
    return ours


def _names() -> list[str]:
    """Return the abstract names of all sockets here: the last column, after an @ (proc_net_unix(5))."""
    lines = NAMES.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.rpartition(" @")[2] for line in lines if " @" in line]
