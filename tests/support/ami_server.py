"""A PBX for tests: replays recorded sessions byte for byte, and misbehaves on request."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import md5
from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "samples" / "ami"
END = b"\r\n\r\n"
BANNER = b"Asterisk Call Manager/11.0.0\r\n"
CHALLENGE = "145324401"
RECORDED = {
    "Challenge": ("ast22__proto-md5-challenge", "ch1"),
    "CoreShowChannels": ("ast22__reconnect-part2-after", "reconnect-part2-after-2"),
    "QueueStatus": ("ast22__proto-session", "qs1"),
    "Filter": ("ast22__proto-session", "f1"),
    "Ping": ("ast22__proto-session", "p1"),
    "Logoff": ("ast22__proto-session", "proto-session-1"),
}
"""The recording that holds the answer to each action, with the ActionID there."""

SECRET = "sesame-canary"  # noqa: S105 - a test's


@cache
def packets(sample: str) -> tuple[bytes, ...]:
    """Return all packets of a recording without their empty lines."""
    recording = (SAMPLES / f"{sample}.ami").read_bytes()
    banner, _, rest = recording.partition(b"\r\n")
    assert banner.startswith(b"Asterisk Call Manager")
    return tuple(packet + b"\r\n" for packet in rest.split(END) if packet)


def events(sample: str) -> tuple[bytes, ...]:
    """Return the unsolicited events of a recording."""
    return tuple(
        packet
        for packet in packets(sample)
        if packet.startswith(b"Event: ") and not is_listed(packet) and b"Event: FullyBooted" not in packet
    )


def is_listed(packet: bytes) -> bool:
    """Return whether an event is part of the answer to an action."""
    return b"\r\nActionID: " in packet and b"Event: OriginateResponse" not in packet


def answers(sample: str, action_id: str) -> list[bytes]:
    """Return the recorded answer to an action: its response and the list that follows."""
    mark = f"\r\nActionID: {action_id}\r\n".encode()
    return [packet for packet in packets(sample) if mark in packet]


def recorded(name: str) -> list[bytes]:
    """Return the recorded answer to an action by its name."""
    if name == "Login":
        return list(packets("ast22__reconnect-part2-after")[:2])
    return answers(*RECORDED.get(name, ("ast22__proto-session", "b1")))


@dataclass
class Plan:
    """The behaviour of the server in one connection after the login."""

    events: Sequence[bytes] = ()
    """Packets to send, valid or not, each followed by an empty line."""
    tail: bytes = b""
    """Raw bytes to send after the packets."""
    is_cut: bool = False
    """Close the connection after that."""
    is_deaf: bool = False
    """Answer nothing after that."""
    before_list: Sequence[bytes] = ()
    """Events sent between the request for all channels and its answer."""
    refused: Sequence[str] = ()
    """Actions that the server refuses."""
    banner: bytes = BANNER


@dataclass
class AmiServer:
    """A server that answers as in the recordings; plan n is for connection n, the last for all later ones."""

    plans: Sequence[Plan]
    secret: str = SECRET
    port: int = 0
    actions: list[dict[str, str]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """All events sent, without their empty lines."""
    connections: int = 0
    is_silent: bool = False
    """Answer no client."""
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    """Connections that are logged in."""
    served: dict["asyncio.Task[None]", asyncio.StreamWriter] = field(default_factory=dict)

    def asked(self, name: str) -> list[dict[str, str]]:
        """Return the received actions of a name."""
        return [action for action in self.actions if action["Action"] == name]

    async def push(self, *packets: bytes) -> None:
        """Send events to all connected clients."""
        self.sent += packets
        for writer in self.open:
            writer.write(b"".join(packet + b"\r\n" for packet in packets))
            await writer.drain()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a separate task."""
        self.served[asyncio.ensure_future(self._serve(reader, writer))] = writer

    async def stop(self) -> None:
        """End all connections."""
        for task, writer in self.served.items():
            if not writer.is_closing():  # Python 3.11.2 cannot abort what was closed twice
                writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self.served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plan = self.plans[min(self.connections, len(self.plans) - 1)]
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(plan.banner)
            while True:
                text = (await reader.readuntil(END)).decode()
                action = dict(line.split(": ", 1) for line in text.strip().split("\r\n"))
                self.actions.append(action)
                if not await self._answer(action, plan, writer):
                    break
        self.open.discard(writer)
        with suppress(ConnectionError):
            # Closing at once would lose what the client has not read yet.
            if writer.can_write_eof():
                writer.write_eof()
                await reader.read()
            writer.close()
            await writer.wait_closed()

    async def _answer(self, action: dict[str, str], plan: Plan, writer: asyncio.StreamWriter) -> bool:
        """Answer one action; return whether the connection stays open."""
        name = action["Action"]
        if self.is_silent or (plan.is_deaf and writer in self.open):
            return True
        if name == "Login" and not self._admits(action):
            self._say(writer, action, answers("ast22__proto-login-failed", "l1"))
            return False
        if name == "CoreShowChannels":
            await self._play(Plan(plan.before_list), writer)
        self._say(writer, action, recorded("none" if name in plan.refused else name))
        if name == "Login":
            self.open.add(writer)
            return await self._play(plan, writer)
        return name != "Logoff"

    async def _play(self, plan: Plan, writer: asyncio.StreamWriter) -> bool:
        self.sent += plan.events
        writer.write(b"".join(packet + b"\r\n" for packet in plan.events) + plan.tail)
        await writer.drain()
        return not plan.is_cut

    def _say(self, writer: asyncio.StreamWriter, action: dict[str, str], said: Sequence[bytes]) -> None:
        """Send recorded packets with the ActionID of the request."""
        action_id = b"ActionID: " + action["ActionID"].encode()
        now = [re.sub(rb"(?m)^ActionID: [^\r]*", action_id, packet) for packet in said]
        self.sent += [packet for packet in now if packet.startswith(b"Event: ")]
        writer.write(b"".join(packet + b"\r\n" for packet in now))

    def _admits(self, action: dict[str, str]) -> bool:
        if action.get("AuthType") == "MD5":
            return action["Key"] == md5((CHALLENGE + self.secret).encode()).hexdigest()  # noqa: S324 - AMI's
        return action["Secret"] == self.secret


@asynccontextmanager
async def ami_server(
    *plans: Plan, secret: str = SECRET, tls: ssl.SSLContext | None = None
) -> AsyncIterator[AmiServer]:
    """Run a server on a free port."""
    server = AmiServer(plans or (Plan(),), secret)
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
