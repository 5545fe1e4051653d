"""One process of a worker that has several: its tie to their parent."""

import asyncio
import os
import select
import socket
import threading
from collections.abc import Callable

from msgspec import msgpack

from tally.streams.processes.channel import Answering, Channel
from tally.streams.processes.exposition import Report, encode
from tally.streams.processes.passing import Adopt, receive
from tally.streams.runtime.health import Verdict

STARTED_SECONDS = 5.0
"""How long the parent may take to hear that a process has started."""
STARTED, REPORT, LIVE, READY = "started", "report", "live", "ready"
"""What is asked over a channel: the first of the parent, the others of its children."""


class Member:
    """The tie of this process to the parent that started it."""

    def __init__(self, channel: socket.socket, connections: socket.socket | None) -> None:
        self._socket = channel
        self._connections = connections
        self._answers: dict[str, Answering] = {}
        self._channel = Channel(channel, self._answers)

    def tells(
        self, report: Callable[[], Report], live: Callable[[], Verdict], ready: Callable[[], Verdict]
    ) -> None:
        """Answer the parent's questions with these from now on."""

        async def metrics(_: bytes) -> bytes:
            return encode(report())

        async def is_live(_: bytes) -> bytes:
            return msgpack.encode(live().reasons)

        async def is_ready(_: bytes) -> bytes:
            return msgpack.encode(ready().reasons)

        self._answers.update({REPORT: metrics, LIVE: is_live, READY: is_ready})

    async def run(self) -> None:
        """Tell the parent that this process has started, and answer it until cancelled. Raises NoAnswer."""
        await self._channel.open()
        running = asyncio.create_task(self._channel.run())
        try:
            await self._channel.ask(STARTED, within_seconds=STARTED_SECONDS)
            await running
            await asyncio.Event().wait()  # until cancelled: the thread ends this process with its parent
        finally:
            running.cancel()

    async def serve(self, adopt: Adopt) -> None:
        """Let `adopt` have the connections that the parent passes on, until cancelled."""
        assert self._connections is not None  # noqa: S101 - the parent gives them to who has the view
        await receive(self._connections, adopt)

    def watch_parent(self, gone: Callable[[str], object]) -> None:
        """Call `gone` once the parent's end of the channel is closed, even if the event loop is stuck.

        Who waits for its parent by its id or a signal (PR_SET_PDEATHSIG) does so on Linux alone.
        """
        line = os.dup(self._socket.fileno())

        def watch() -> None:
            poll = select.poll()
            poll.register(line, 0)  # the end of the other side is told without being asked for
            poll.poll()
            gone("the worker's parent process is gone")

        threading.Thread(target=watch, name="parent", daemon=True).start()
