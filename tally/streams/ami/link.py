"""Keeps one PBX connected: opens a new session after the end of each."""

import asyncio
from typing import NoReturn

from tally.agents.clock import Backoff
from tally.streams.ami.buffer import Buffer, ReceivedPacket
from tally.streams.ami.connection import Addresses, connect
from tally.streams.ami.conversation import converse
from tally.streams.ami.errors import BufferFull, LoginRefused, SessionEnded
from tally.streams.ami.observer import PbxObserver
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.ports import CollectorConfig, CollectorPorts
from tally.streams.ami.session import Session

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
"""Longest pause between two tries, all of it jitter: PBXs that restart together are tried apart."""
REFUSED_SECONDS = 60.0
"""Pause after a refused login: a wrong password stays wrong, and some PBXs ban frequent attempts."""


class Link:
    """The link to one PBX while the collector runs."""

    def __init__(
        self, pbx: Pbx, buffer: Buffer, observer: PbxObserver, ports: CollectorPorts, config: CollectorConfig
    ) -> None:
        self._pbx = pbx
        self._buffer = buffer
        self._observer = observer
        self._ports = ports
        self._config = config
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS, spread=1.0)
        self._addresses = Addresses()

    async def run(self) -> NoReturn:
        """Connect repeatedly until cancelled; no failure affects the links of other PBXs."""
        while True:
            began = self._ports.seconds()
            error = await self._session()
            if self._ports.seconds() - began >= self._config.stable_seconds:
                self._backoff.succeeded()
            await self._ports.pause(self._judge(error))
            while not await self._buffer.wait_for_room(self._config.room_seconds):
                self._observer.waits_for_room()
            self._observer.reconnects()

    async def _session(self) -> Exception:
        try:
            await self._converse()
        except (SessionEnded, OSError) as error:
            return error
        except Exception as error:
            # Otherwise a fault in our code, provoked by one PBX, would end the reading of all.
            self._observer.broke(error)
            return error

    async def _converse(self) -> NoReturn:
        connection = await connect(self._pbx, self._config, self._addresses)
        session = Session(connection, self._ports, self._accept)
        try:
            await converse(session, self._pbx, self._ports, self._config, self._observer)
        except asyncio.CancelledError:
            await session.log_off()
            raise
        except Exception as error:
            if self._observer.is_open:
                self._observer.gap("buffer_full" if isinstance(error, BufferFull) else "lost")
            raise
        finally:
            session.close()
            self._observer.closed()

    def _accept(self, packet: ReceivedPacket) -> bool:
        fits = self._buffer.put(packet)
        if fits:
            self._observer.took(bool(packet.malformed))
        return fits

    def _judge(self, error: Exception) -> float:
        """Report the end of a session to the observer; return the pause in seconds."""
        if isinstance(error, LoginRefused):
            seconds = Backoff(REFUSED_SECONDS, REFUSED_SECONDS).failed(self._ports.jitter())
            self._observer.login_refused(error, seconds)
        else:
            seconds = self._backoff.failed(self._ports.jitter())
            self._observer.lost(error, seconds)
        return seconds
