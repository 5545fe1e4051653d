"""The embedded broker with an additional listener for each wire, which advertises the wire's address."""

from pathlib import Path
from typing import ClassVar

from tally.deploy.local import LocalKafka
from tally.deploy.local.ports import LOOPBACK
from tally.deploy.local.processes import Command

MORE = """
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}{listeners}
advertised.listeners=PLAINTEXT://{host}:{port}{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
"""


class WiredKafka(LocalKafka):
    """A broker behind wires; `wires` are the pairs (the wire's port, the listener's port)."""

    wires: ClassVar[tuple[tuple[int, int], ...]] = ()

    @classmethod
    def _command(cls, home: Path, port: int) -> Command:
        command = super()._command(home, port)
        path = home / "server.properties"
        written = path.read_text(encoding="ascii")
        listeners = value_of(written, "listeners")
        path.write_text(written + cls._more(port, listeners.rpartition(":")[2]), encoding="ascii")
        return command

    @classmethod
    def _more(cls, port: int, controller_port: str) -> str:
        """Return the configuration with listeners for the wires; the last value of a repeated key counts."""
        named = [(f"WIRE{n}", *ports) for n, ports in enumerate(cls.wires)]
        return MORE.format(
            host=LOOPBACK,
            port=port,
            controller_port=controller_port,
            listeners="".join(f",{name}://{LOOPBACK}:{own}" for name, _, own in named),
            advertised="".join(f",{name}://{LOOPBACK}:{wire}" for name, wire, _ in named),
            protocols="".join(f",{name}:PLAINTEXT" for name, _, _ in named),
        )


def wired_kafka(wires: tuple[tuple[int, int], ...]) -> type[WiredKafka]:
    """Return the class of a broker behind these wires."""
    return type("WiredKafka", (WiredKafka,), {"wires": wires})


def value_of(properties: str, key: str) -> str:
    """Return the value of a key in a properties file."""
    return next(line.partition("=")[2] for line in properties.splitlines() if line.startswith(f"{key}="))
