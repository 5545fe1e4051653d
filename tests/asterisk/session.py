"""A dialer's AMI session over plain TCP, which keeps every packet as it came."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tally.deploy.local.ports import LOOPBACK
from tests.asterisk.instance import Pbx

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
END_OF_PACKET = b"\r\n\r\n"

Fields = dict[str, str]
Received = tuple[int, bytes]
"""Unix milliseconds, and the packet with the empty line that ends it."""


def fields(packet: bytes) -> Fields:
    """Return a packet's fields; of a key that repeats the last."""
    lines = packet.decode().removesuffix("\r\n\r\n").split("\r\n")
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


class AmiSession:
    """One connection; `received` grows while it is open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, banner: bytes) -> None:
        self._reader, self._writer = reader, writer
        self._arrived = asyncio.Condition()
        self.banner = banner
        self.received: list[Received] = []

    @property
    def events(self) -> list[Received]:
        """What came, without the answers to actions."""
        return [(at_ms, packet) for at_ms, packet in self.received if packet.startswith(b"Event: ")]

    def named(self, event: str, **wanted: str) -> list[Fields]:
        """Return the events of a name whose fields have these values."""
        found = (fields(packet) for _, packet in self.received)
        return [one for one in found if {"Event": event, **wanted}.items() <= one.items()]

    async def send(self, action: str, more: Sequence[tuple[str, str]] = ()) -> None:
        lines = [f"{name}: {value}\r\n" for name, value in (("Action", action), *more)]
        self._writer.write(f"{''.join(lines)}\r\n".encode())
        await self._writer.drain()

    async def until(self, holds: Callable[[], bool], deadline_seconds: float) -> None:
        """Wait until something holds, asked after every packet; raises TimeoutError."""
        async with asyncio.timeout(deadline_seconds), self._arrived:
            await self._arrived.wait_for(holds)

    def answered(self, action_id: str) -> bool:
        """Whether the response to an action has come."""
        return any(
            one.get("ActionID") == action_id and "Response" in one and "Event" not in one
            for one in (fields(packet) for _, packet in self.received)
        )

    async def read(self) -> None:
        """Accept packets until the server closes."""
        try:
            while True:
                packet = await self._reader.readuntil(END_OF_PACKET)
                async with self._arrived:
                    self.received.append((time.time_ns() // 1_000_000, packet))
                    self._arrived.notify_all()
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise

    def write_recording(self, path: Path) -> None:
        """Write the session's bytes as they came, and beside them the moment of each packet."""
        path.write_bytes(self.banner + b"".join(packet for _, packet in self.received))
        moments = "".join(f"{at_ms}\n" for at_ms, _ in self.received)
        path.with_suffix(".received_at_ms.txt").write_text(moments)


@asynccontextmanager
async def logged_in(pbx: Pbx) -> AsyncIterator[AmiSession]:
    """A session of the user `dialer`, logged off at the end."""
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(LOOPBACK, pbx.ami_port)
        banner = await reader.readuntil(b"\r\n")
    session = AmiSession(reader, writer, banner)
    reading = asyncio.create_task(session.read())
    try:
        await _answered(session, "Login", {"Username": "dialer", "Secret": pbx.secret})
        await session.until(lambda: bool(session.named("FullyBooted")), ANSWER_SECONDS)
        yield session
        await _answered(session, "Logoff", {})
        async with asyncio.timeout(ANSWER_SECONDS):
            await reading
    finally:
        reading.cancel()
        writer.close()


async def _answered(session: AmiSession, action: str, more: Mapping[str, str]) -> None:
    await session.send(action, [("ActionID", action), *more.items()])
    await session.until(lambda: session.answered(action), ANSWER_SECONDS)
