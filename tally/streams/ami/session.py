"""One session with a PBX: one task only reads; actions wait for their responses."""

import asyncio
from collections.abc import Callable
from typing import Any

from tally.schemas.ami.packet import Packet
from tally.streams.ami.buffer import ReceivedPacket
from tally.streams.ami.connection import Connection
from tally.streams.ami.errors import BufferFull, NotAmi, SessionLost
from tally.streams.ami.framing import Frame, Framer, action, read_frame
from tally.streams.ami.ports import CollectorPorts

MAX_DIGITS = 12
GREETING_SECONDS = 0.01
Accept = Callable[[ReceivedPacket], bool]


def pong_ms(pong: Packet) -> int | None:
    """Return the PBX's clock in an answer to Ping, in unix milliseconds; None if it holds none. Pure."""
    seconds, _, fraction = pong.get("timestamp").partition(".")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= MAX_DIGITS):
        return None
    millis = fraction[:3].ljust(3, "0")
    return int(seconds) * 1000 + (int(millis) if millis.isascii() and millis.isdigit() else 0)


LISTS_KEPT = 16
"""Number of requested lists whose answers may still arrive."""


class Session:
    """Sends actions to a PBX and passes all events to `accept`, which returns False if it is full."""

    def __init__(self, connection: Connection, ports: CollectorPorts, accept: Accept) -> None:
        self._connection = connection
        self._ports = ports
        self._accept = accept
        self._framer = Framer()
        self._token = ports.token()
        self._actions = 0
        self._asked: dict[str, asyncio.Future[Packet]] = {}
        self._listed_at_ms: dict[str, int] = {}
        """The moment of each requested list by ActionID; all packets of its answer are stamped with it."""
        self._is_trusted = False
        """Whether the server has sent a response. From then on malformed packets are kept."""
        self._reading = asyncio.create_task(self._read())
        # Otherwise the loop reports the error of a task that was never awaited.
        self._reading.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def banner(self) -> str:
        """The server's first line."""
        return self._framer.banner

    async def greeted(self, seconds: float) -> None:
        """Wait for the server's first line: the secret must not go to a server that only accepts connections.

        Raises SessionLost after `seconds`, or the error that ended the session.
        """
        ends_at = asyncio.get_running_loop().time() + seconds
        while not self.banner:
            await self.pause(GREETING_SECONDS)
            if asyncio.get_running_loop().time() > ends_at:
                raise SessionLost(f"no greeting within {seconds:g} s")

    async def ask(self, name: str, *fields: tuple[str, str], seconds: float) -> Packet:
        """Send an action and return its response. Raises the error that ended the session, or SessionLost."""
        return await self._ask(name, f"tally-{self._token}-{self._number()}", fields, seconds)

    async def ask_for_list(self, name: str, seconds: float) -> Packet:
        """Send an action whose answer is a list of events, stamped with the moment before it.

        A list is a snapshot. It is stamped with the PBX clock, taken from a Ping just before, so it never
        overrides later events.
        """
        pong = await self.ask("Ping", seconds=seconds)
        action_id = f"tally-resync-{self._token}-{self._number()}"
        self._listed_at_ms[action_id] = pong_ms(pong) or self._ports.now_ms()
        if len(self._listed_at_ms) > LISTS_KEPT:
            del self._listed_at_ms[next(iter(self._listed_at_ms))]
        return await self._ask(name, action_id, (), seconds)

    async def pause(self, seconds: float) -> None:
        """Wait for `seconds`. Raises the error that ends the session meanwhile."""
        await asyncio.wait({self._reading}, timeout=seconds)
        if self._reading.done():
            self._reading.result()

    async def log_off(self) -> None:
        """Stop reading and log off."""
        self._reading.cancel()
        await self._connection.log_off(f"tally-{self._token}-{self._number()}")

    def close(self) -> None:
        """Stop reading and close the connection."""
        self._reading.cancel()
        self._connection.close()

    def _number(self) -> int:
        self._actions += 1
        return self._actions

    async def _ask(
        self, name: str, action_id: str, fields: tuple[tuple[str, str], ...], seconds: float
    ) -> Packet:
        answer: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._asked[action_id] = answer
        try:
            async with asyncio.timeout(seconds):
                await self._connection.send(action(name, action_id, *fields))
                waited: set[asyncio.Future[Any]] = {answer, self._reading}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise SessionLost(f"no answer to {name} within {seconds:g} s") from None
        finally:
            del self._asked[action_id]
        if not answer.done():
            self._reading.result()
        return await answer

    async def _read(self) -> None:
        while True:
            data = await self._connection.read()
            at_ms = self._ports.now_ms()
            for frame in self._framer.feed(data):
                self._sort(frame, at_ms)
            # A read of buffered bytes does not suspend, so other tasks would not run.
            await asyncio.sleep(0)

    def _sort(self, frame: Frame, at_ms: int) -> None:
        packet = read_frame(frame)
        if isinstance(packet, str):
            if not self._is_trusted:
                raise NotAmi
            self._keep(ReceivedPacket(frame.raw, at_ms, packet))
        elif "event" in packet:
            listed_at_ms = self._listed_at_ms.get(packet.get("actionid"), at_ms)
            self._keep(ReceivedPacket(frame.raw, listed_at_ms))
        else:
            self._is_trusted = True
            asked = self._asked.get(packet.get("actionid"))
            if asked is not None and not asked.done():
                asked.set_result(packet)

    def _keep(self, packet: ReceivedPacket) -> None:
        if not self._accept(packet):
            raise BufferFull
