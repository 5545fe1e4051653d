"""A Faust app with the batched transport and nothing of Faust's that we do not use."""

from pathlib import Path
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.transport.drivers.aiokafka import Transport

from tally.streams.batched.consumer import BatchedConsumer
from tally.streams.batched.options import Options

BUFFERED_RUNS = 1_024
"""More than can ever be under way: the bound is `Options.max_outstanding`, a partition each."""


class ConsumerOnly(BootStrategy):
    """Starts consumer, conductor and agents; our producers are our own, and the web has its own app."""

    enable_kafka_producer = False
    enable_web = False
    enable_sensors = False


class RunSchema(faust.Schema[Any, Any]):
    """Marks a topic whose events carry a Run; nothing is decoded here."""

    def compile(self, app: Any, **_: Any) -> Any:  # noqa: D102 - Faust's
        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001 - Faust's
            return app.create_event(None, message.value, None, message)

        return decode


def consumer_app(group: str, options: Options, commit_seconds: float, folder: Path) -> faust.App:
    """Return an app that consumes in one group with the batched transport."""

    class App(faust.App):
        BootStrategy = ConsumerOnly

    consumer = type("Consumer", (BatchedConsumer,), {"options": options})
    transport = type("BatchedTransport", (Transport,), {"Consumer": consumer})
    app = App(
        group,
        broker="kafka://" + ";kafka://".join(options.client["bootstrap_servers"]),
        store="memory://",
        datadir=folder,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_RUNS,
        broker_commit_interval=commit_seconds,
        broker_commit_every=None,
        broker_session_timeout=options.session_timeout_ms / 1000,
    )
    app.transport = transport(app.conf.broker_consumer, app)
    return app


def runs_of(app: faust.App, *topics: str) -> Any:
    """Return the topics of an app whose events carry runs."""
    return app.topic(*topics, schema=RunSchema())
