"""Viewers of streams: each second one look at what they watch, and one frame for all who watch the same.

aiohttp-sse would frame each event anew for every viewer, and pings, which receipts make needless.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from tally.agents.view.frames import Feed, Vector, bye, framed
from tally.agents.view.queries import Queries
from tally.streams.web.watched import Watched, contents_of

log = structlog.get_logger()

TICK_SECONDS = 1.0
SEND_SECONDS = 20.0
"""How long a viewer may take to read one frame; a connection that is gone without a word ends by it too."""
RETRY_MS = (500, 3000)
"""After a cut viewers come back after a time between these, so that they do not come all at once."""
SHARE = 0.75
"""Of a server's connections; the others are for answers that end: none of them is refused for streams."""
SLICE_BYTES = 16 << 10
BUFFER_BYTES = 32 << 10
"""A viewer that reads nothing holds this and one slice more here, and twice this in the kernel."""


class _Watch:
    """One feed, and who waits for its next tick."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.feed = Feed(watched.parts)
        self.viewers = 0
        self.has_failed = False
        self._looking = asyncio.Lock()
        self._news = asyncio.Event()

    async def look(self, queries: Queries, *, is_first: bool = False) -> None:
        """Take the look of a tick, and wake the viewers; of many who come at once one takes the first."""
        async with self._looking:
            if is_first and (self.feed.tick or self.has_failed):
                return
            try:
                self.feed.show(await contents_of(queries, self.watched))
            except Exception:
                log.exception("a stream failed")
                self.has_failed = True
        self.wake()

    def wake(self) -> None:
        """Let all viewers go on."""
        self._news.set()
        self._news = asyncio.Event()

    async def beyond(self, tick: int) -> None:
        """Wait for a later tick than this one, or until woken."""
        if self.feed.tick <= tick and not self.has_failed:
            await self._news.wait()


class Viewers:
    """All viewers of this process. `random`, from 0 to 1, spreads when they come back after a cut."""

    def __init__(
        self,
        queries: Queries,
        random: Callable[[], float],
        tick_seconds: float = TICK_SECONDS,
        send_seconds: float = SEND_SECONDS,
        most: int = 1 << 30,
    ) -> None:
        self._queries = queries
        self._random = random
        self._tick_seconds = tick_seconds
        self._send_seconds = send_seconds
        self._most = most
        self._watches: dict[Watched, _Watch] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._is_stopping = False

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(watch.viewers for watch in self._watches.values())

    @property
    def room(self) -> int:
        """How many more there may be."""
        return max(0, self._most - len(self))

    async def show(
        self,
        watched: Watched,
        shown: Vector | None,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        is_let_in: Callable[[], bool] = lambda: True,
    ) -> None:
        """Send frames until the viewer goes, reads too slowly or is let in no more, or this process stops.

        `shown` is what the viewer was shown before, by this process or another one. `is_let_in` is asked
        before each frame: a key may be revoked.
        """
        _bound(transport)
        watch = self._watches.setdefault(watched, _Watch(watched))
        watch.viewers += 1
        try:
            if self._ticking is None:
                self._ticking = asyncio.create_task(self._tick())
            if not watch.feed.tick:
                await watch.look(self._queries, is_first=True)
            await self._follow(watch, shown, writer, is_let_in)
        except TimeoutError:
            transport.abort()
        except ConnectionError:
            return  # the viewer has gone
        finally:
            watch.viewers -= 1
            if not watch.viewers and self._watches.get(watched) is watch:
                del self._watches[watched]

    async def stop(self, _: web.Application | None = None) -> None:
        """Say goodbye to all viewers; they come back at another worker, or at this one's successor."""
        self._is_stopping = True
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        for watch in self._watches.values():
            watch.wake()

    async def _follow(
        self,
        watch: _Watch,
        shown: Vector | None,
        writer: AbstractStreamWriter,
        is_let_in: Callable[[], bool],
    ) -> None:
        seen = 0
        retry_ms: int | None = self._retry_ms()
        while not (self._is_stopping or watch.has_failed):
            tick = watch.feed.tick
            frame = watch.feed.frame(seen, shown) if is_let_in() else bye("key_refused")
            await self._send(writer, framed(frame, retry_ms))
            if frame.event == "bye":
                return
            if frame.event == "snapshot" or seen:
                seen = tick
            retry_ms = None
            if not self._is_stopping:
                await watch.beyond(tick)
        reason = "stopping" if self._is_stopping else "failed"
        await self._send(writer, framed(bye(reason), self._retry_ms()))

    async def _send(self, writer: AbstractStreamWriter, data: bytes) -> None:
        async with asyncio.timeout(self._send_seconds):
            for start in range(0, len(data), SLICE_BYTES):
                await writer.write(data[start : start + SLICE_BYTES])
                await writer.drain()

    def _retry_ms(self) -> int:
        shortest, longest = RETRY_MS
        return round(shortest + self._random() * (longest - shortest))

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            next_s = max(next_s + self._tick_seconds, loop.time())
            await asyncio.sleep(next_s - loop.time())
            for watch in list(self._watches.values()):
                if watch.feed.tick:  # else its first viewer takes the first look right now
                    await watch.look(self._queries)


STREAMS = web.AppKey("streams", Viewers)


def _bound(transport: asyncio.Transport) -> None:
    """Bound what waits for a viewer that does not read, here and in the kernel."""
    transport.set_write_buffer_limits(high=BUFFER_BYTES, low=SLICE_BYTES)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
