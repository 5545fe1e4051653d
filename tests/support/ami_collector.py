"""A collector in this process, with a topic in memory and ports whose pauses do not wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from aiokafka.errors import KafkaConnectionError

from tally.streams.ami.buffer import Buffer, ReceivedPacket
from tally.streams.ami.collector import Collector
from tally.streams.ami.observer import AmiMetrics
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.ports import CollectorConfig, CollectorPorts
from tally.streams.ami.sink import Sink
from tests.support.ami_server import SECRET, AmiServer

LONGEST_PAUSE_SECONDS = 0.01
FAST = CollectorConfig(
    connect_seconds=2.0, answer_seconds=2.0, ping_seconds=60.0, pong_seconds=0.1, close_seconds=0.5
)


class MemoryTopic:
    """A topic that acknowledges everything, a few records at a time, unless it is away."""

    def __init__(self, batch_records: int = 7) -> None:
        self.records: dict[str, list[ReceivedPacket]] = {}
        self.is_away = False
        self.tries = 0
        self._batch_records = batch_records

    async def open(self, pbx: Pbx) -> Sink:
        records = self.records.setdefault(pbx.name, [])
        topic = self

        class MemorySink:
            async def publish(self, events: Sequence[ReceivedPacket]) -> int:
                topic.tries += 1
                await asyncio.sleep(0)
                if topic.is_away:
                    raise KafkaConnectionError("no broker")
                packet = events[: topic._batch_records]
                records.extend(packet)
                return len(packet)

            async def close(self) -> None:
                return

        return MemorySink()

    def values(self, pbx: str = "pbx01") -> list[bytes]:
        """Return the published packets of a PBX, in order."""
        return [packet.value for packet in self.records.get(pbx, ())]


class ShortWaits:
    """Collector ports that record pauses instead of waiting."""

    def __init__(self, jitter: float = 0.5) -> None:
        self.pauses: list[float] = []
        self.jitter = jitter

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(min(seconds, LONGEST_PAUSE_SECONDS))

    def ports(self, **more: Any) -> CollectorPorts:
        return CollectorPorts(jitter=lambda: self.jitter, pause=self.pause, **more)


class Collecting:
    """A running collector with its metrics and its topic."""

    def __init__(
        self,
        pbxs: Sequence[Pbx],
        *,
        config: CollectorConfig = FAST,
        max_records: int = 50_000,
        max_bytes: int = 64 << 20,
        drain_seconds: float = 2.0,
        open_sink: Callable[[Pbx], Awaitable[Sink]] | None = None,
        **ports: Any,
    ) -> None:
        self.topic = MemoryTopic()
        self.waits = ShortWaits()
        self.metrics = AmiMetrics(pbx.name for pbx in pbxs)
        self.collector = Collector(
            pbxs,
            lambda: Buffer(max_records, max_bytes),
            open_sink or self.topic.open,
            self.metrics,
            self.waits.ports(**ports),
            config,
            drain_seconds,
        )

    def metric(self, name: str, pbx: str = "pbx01", **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(f"tally_ami_{name}", {"pbx": pbx, **labels})
        assert value is not None
        return value

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Collecting"]:
        """Run the collector, and stop it as SIGTERM would."""
        running = asyncio.create_task(self.collector.run())
        try:
            yield self
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def pbx_of(server: AmiServer, **more: Any) -> Pbx:
    """Return the settings for a server in this process."""
    given = {
        "name": "pbx01",
        "host": "127.0.0.1",
        "port": server.port,
        "username": "dialer",
        "secret": SECRET,
    }
    return Pbx.model_validate({**given, **more})


def with_timing(**more: float) -> CollectorConfig:
    """Return short deadlines, with the given ones replaced."""
    return msgspec.structs.replace(FAST, **more)
