"""A Faust app with the batched transport, without the parts of Faust that Tally does not use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from faust.sensors import Monitor
from faust.transport.drivers.aiokafka import Transport

from tally.streams.transport.config import TransportConfig
from tally.streams.transport.consumer import RunConsumer
from tally.streams.transport.runs import Run

BUFFERED_RUNS = 1 << 20
"""Never reached, which disables Faust's backpressure: ours is `RunLimits.max_outstanding`."""

RunAgent = Callable[[AsyncIterator[Run]], Awaitable[None]]
Failed = Callable[[str, BaseException | None], object]


class ConsumerOnly(BootStrategy):
    """Starts consumer, conductor and agents only: Tally has its own producers, and the web its own app."""

    enable_kafka_producer = False
    enable_web = False
    enable_sensors = False


class RunSchema(faust.Schema[Any, Any]):
    """Marks a topic whose events carry runs; nothing is decoded here."""

    def compile(self, app: Any, **_: Any) -> Any:  # noqa: D102 - Faust's
        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001 - Faust's
            return app.create_event(None, message.value, None, message)

        return decode


class Unmonitored(faust.Sensor):
    """Counts nothing; Faust's Monitor keeps statistics of every event."""


class ConsumerApp(faust.App):
    """The app of one consuming role: one consumer group, without tables, producer and web server."""

    BootStrategy = ConsumerOnly
    config: TransportConfig

    async def on_first_start(self) -> None:
        """Create none of Faust's folders: Tally keeps nothing in them."""

    async def on_stop(self) -> None:
        """Drain and commit the runs under way before the consumer leaves the group."""
        if self._consumer is not None:
            await runs_consumer(self).revoke_all()
        await super().on_stop()

    def _new_transport(self) -> Any:
        consumer = type("Consumer", (RunConsumer,), {"config": self.config})
        transport = type("RunTransport", (Transport,), {"Consumer": consumer})
        return transport(self.conf.broker_consumer, self)


def consumer_app(group: str, config: TransportConfig) -> ConsumerApp:
    """Return an app that consumes in one group with the batched transport."""
    app = ConsumerApp(
        group,
        broker=[f"kafka://{address}" for address in config.kafka.bootstrap],
        monitor=cast(Monitor, Unmonitored()),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_RUNS,
        broker_commit_interval=config.commit_seconds,
        broker_commit_every=None,
        broker_session_timeout=config.session_timeout_ms / 1000,
        broker_rebalance_timeout=config.rebalance_timeout_ms / 1000,
    )
    app.config = config
    return app


def runs_consumer(app: faust.App) -> RunConsumer:
    """Return the consumer of an app; it knows its partitions and can seek."""
    return cast(RunConsumer, app.consumer)


def consume(app: ConsumerApp, topics: tuple[str, ...], agent: RunAgent, failed: Failed) -> None:
    """Deliver the runs of topics to an agent; one agent a topic.

    The agent acknowledges each run itself with `Run.ack`, at any time and from any task. Faust's own
    acknowledgements are ignored: Faust also acknowledges when an agent raises. `failed` is called whenever
    the agent ends while the app should be running: Faust would restart it and skip its current run.
    """
    name = f"{app.conf.id}-agent"

    async def guarded(stream: Any) -> None:
        try:
            await agent(_runs(stream))
        except asyncio.CancelledError:
            if not app.should_stop:
                failed(f"{name} was cancelled", None)
            raise
        except BaseException as error:
            failed(f"{name} failed", error)
            raise
        if not app.should_stop:
            failed(f"{name} ended", None)

    # acks=False stops Faust from tracking messages under way.
    app.agent(app.topic(*topics, schema=RunSchema(), acks=False), name=name)(guarded)


async def _runs(stream: Any) -> AsyncIterator[Run]:
    async for event in stream.events():
        for run in event.value:
            if run.is_current:
                yield run
