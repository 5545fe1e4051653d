"""The collector: publishes the events of every PBX to Kafka, each PBX independently."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from msgspec import Struct

from tally.streams.ami.buffer import Buffer
from tally.streams.ami.link import Link
from tally.streams.ami.observer import AmiMetrics, PbxObserver
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.ports import CollectorConfig, CollectorPorts
from tally.streams.ami.sink import Publishing, Sink
from tally.streams.runtime.health import Verdict

DRAIN_SECONDS = 10.0


class Line(Struct, frozen=True):
    """The parts that serve one PBX, from its link to its publishing."""

    pbx: Pbx
    buffer: Buffer
    observer: PbxObserver
    link: Link
    publishing: Publishing


class Collector:
    """Reads all PBXs and publishes until cancelled, then publishes the buffers within a deadline.

    Each PBX has a separate buffer (`new_buffer`) and sink (`open_sink`), so none waits for another. `ports`
    and `config` hold clocks and deadlines of the sessions. `drain_seconds` bounds the final publishing.
    """

    def __init__(
        self,
        pbxs: Sequence[Pbx],
        new_buffer: Callable[[], Buffer],
        open_sink: Callable[[Pbx], Awaitable[Sink]],
        metrics: AmiMetrics,
        ports: CollectorPorts | None = None,
        config: CollectorConfig | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._new_buffer = new_buffer
        self._open_sink = open_sink
        self._metrics = metrics
        self._ports = ports or CollectorPorts()
        self._config = config or CollectorConfig()
        self._drain_seconds = drain_seconds
        self.lines = [self._line(pbx) for pbx in pbxs]

    async def run(self) -> NoReturn:
        """Read and publish; only cancellation or a failure of our own code ends it."""
        links = [asyncio.create_task(line.link.run(), name=line.pbx.name) for line in self.lines]
        publishing = [asyncio.create_task(line.publishing.run(), name=line.pbx.name) for line in self.lines]
        try:
            done, _ = await asyncio.wait({*links, *publishing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise RuntimeError("a task of the collector ended by itself")
        finally:
            await self._stop(links, publishing)

    def ready(self) -> Verdict:
        """Decide whether the collector works: every PBX is logged in, and Kafka takes its events."""
        away = [f"{line.pbx.name}: not logged in" for line in self.lines if not line.observer.is_open]
        held = [f"{line.pbx.name}: {line.observer.trouble}" for line in self.lines if line.observer.trouble]
        return Verdict((*away, *held))

    def _line(self, pbx: Pbx) -> Line:
        buffer = self._new_buffer()
        observer = PbxObserver(pbx.name, self._metrics, buffer, self._ports)
        link = Link(pbx, buffer, observer, self._ports, self._config)
        return Line(
            pbx,
            buffer,
            observer,
            link,
            Publishing(buffer, lambda: self._open_sink(pbx), observer, self._ports),
        )

    async def _stop(
        self, links: Sequence["asyncio.Task[None]"], publishing: Sequence["asyncio.Task[None]"]
    ) -> None:
        for task in links:
            task.cancel()
        await asyncio.wait(links, timeout=2 * self._config.close_seconds)
        for line in self.lines:
            line.publishing.end()
        _, late = await asyncio.wait(publishing, timeout=self._drain_seconds)
        for task in late:
            task.cancel()
        await asyncio.wait(publishing, timeout=self._drain_seconds)
        for line in self.lines:
            if line.buffer:
                line.observer.left(len(line.buffer))
