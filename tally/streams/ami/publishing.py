"""Bringing one PBX's buffer to Kafka."""

import asyncio
from collections.abc import Awaitable, Callable

from tally.streams.ami.backoff import pause_seconds
from tally.streams.ami.buffer import Buffer
from tally.streams.ami.observer import PbxWatch
from tally.streams.ami.sink import Sink
from tally.streams.ami.timing import World

CHUNK_RECORDS = 1_000
PUBLISH_SECONDS = 20.0
"""After that the client is replaced: it may know none but brokers that are gone."""
IDLE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 5.0
"""Short, so that events are on their way again soon after Kafka is back."""


class Publishing:
    """Publishes from the buffer, which forgets nothing that Kafka has not acknowledged."""

    def __init__(
        self, buffer: Buffer, open_sink: Callable[[], Awaitable[Sink]], watch: PbxWatch, world: World
    ) -> None:
        self._buffer = buffer
        self._open_sink = open_sink
        self._watch = watch
        self._world = world
        self._sink: Sink | None = None
        self._failures = 0
        self._is_ending = False

    def end(self) -> None:
        """Let `run` return once the buffer is empty."""
        self._is_ending = True
        self._buffer.stir()

    async def run(self) -> None:
        """Publish until the end; after a failure, all that was not acknowledged again."""
        try:
            while self._buffer or not self._is_ending:
                await self._try()
        finally:
            await self._close()

    async def _try(self) -> None:
        try:
            await self._publish()
        except Exception as error:
            # Whatever it is, the events are in the buffer and the other PBXs' go on.
            self._failures += 1
            self._watch.publish_failed(error)
            await self._close()
            jitter = self._world.jitter()
            await self._world.pause(pause_seconds(self._failures, jitter, LONGEST_PAUSE_SECONDS))

    async def _publish(self) -> None:
        if self._sink is None:
            self._sink = await self._open_sink()
        if not self._buffer:
            await self._buffer.until_stirred(IDLE_SECONDS)
            return
        async with asyncio.timeout(PUBLISH_SECONDS):
            count = await self._sink.publish(self._buffer.head(CHUNK_RECORDS))
        self._buffer.drop(count)
        self._failures = 0
        self._watch.published(count)

    async def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            await sink.close()
