"""One child of a worker's parent process, as the parent sees it."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import msgpack

from tally.streams.processes.channel import Channel, NoAnswer
from tally.streams.processes.endings import Ended
from tally.streams.processes.exposition import Report, decode
from tally.streams.processes.member import REPORT, STARTED
from tally.streams.processes.split import name_of

ASK_SECONDS = 1.0
"""How long a child may take to answer; its event loop gives way every 20 ms, however busy it is."""


class Child:
    """A process with some roles, and the channel to it."""

    def __init__(self, roles: Sequence[str], monotonic: Callable[[], float]) -> None:
        self.roles = tuple(roles)
        self.name = name_of(roles)
        self.began_s = monotonic()
        self.is_started = False
        """Whether it has said that it is built; before, there is nothing to ask it."""
        self.end: Ended | None = None
        self.way: socket.socket | None = None
        """The way on which it takes connections, if it has the view."""
        self._asked = self._killed = False

    async def start(self, command: Sequence[str]) -> None:
        """Start the process.

        It has a session of its own: a Ctrl-C in the terminal reaches the parent alone, and Linux gives the
        view its own share of busy cores (`sched(7)`, autogroups).
        """
        ours, theirs = socket.socketpair()
        given = [theirs]
        if "view" in self.roles:
            self.way, taken = socket.socketpair()
            self.way.setblocking(False)
            given.append(taken)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                self.name,
                *(str(one.fileno()) for one in given),
                pass_fds=tuple(one.fileno() for one in given),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            for one in given:
                one.close()
        self._channel = Channel(ours, {STARTED: self._started})
        await self._channel.open()
        self._talking = asyncio.create_task(self._channel.run())

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def wait(self) -> Ended:
        """Return how the process ended, once it has."""
        code = await self._process.wait()
        self.end = Ended(self.name, code, self._asked, self._killed)
        if self.way is not None:
            self.way.close()
            self.way = None
        return self.end

    @property
    def is_serving(self) -> bool:
        """Whether connections may be passed to it."""
        return self.way is not None and self.is_started and not self._asked

    def stop(self) -> None:
        """Ask the process to stop in order, once."""
        if not self._asked and self.end is None:
            self._asked = True
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """End the process at once: it did not stop in time."""
        if self.end is None:
            self._asked = self._killed = True
            with suppress(ProcessLookupError):
                self._process.kill()

    async def report(self) -> Report | None:
        """Return all its metrics; None if it does not tell."""
        body = await self._ask(REPORT)
        return None if body is None else decode(body)

    async def reasons(self, what: str) -> tuple[str, ...] | None:
        """Return what it says against being alive or ready; None if it does not answer."""
        body = await self._ask(what)
        return None if body is None else msgpack.decode(body, type=tuple[str, ...])

    async def _ask(self, what: str) -> bytes | None:
        if not self.is_started or self.end is not None:
            return None
        try:
            return await self._channel.ask(what, within_seconds=ASK_SECONDS)
        except NoAnswer:
            return None

    async def _started(self, _: bytes) -> bytes:
        self.is_started = True
        return b""
