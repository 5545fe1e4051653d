"""Topics, producers and apps for tests of the transport on a real broker."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.types import TP

from tally.streams.transport.app import ConsumerApp, consume, consumer_app, runs_consumer
from tally.streams.transport.config import RunLimits, TransportConfig
from tally.streams.transport.consumer import RunConsumer
from tally.streams.transport.runs import Run
from tally.tables.kafka.clients import KafkaClients

DEADLINE_SECONDS = 20.0


async def new_topic(bootstrap: str, partitions: int) -> str:
    """Create a topic with a unique name; return the name."""
    name = f"transport-{uuid4().hex[:12]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()
    return name


@asynccontextmanager
async def producing(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a started producer."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def publish(producer: AIOKafkaProducer, topic: str, partition: int, count: int) -> None:
    """Publish `count` records to a partition and wait for their acknowledgements."""
    sent = [await producer.send(topic, b"x" * 100, partition=partition) for _ in range(count)]
    await asyncio.gather(*sent)


async def until(holds: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.002)


class Consuming:
    """An app in this process that keeps its runs for the test to acknowledge."""

    def __init__(self, bootstrap: str, topics: tuple[str, ...], limits: RunLimits, group: str) -> None:
        self.runs: list[Run] = []
        self.heard: list[tuple[str, set[TP]]] = []
        self.failures: list[tuple[str, BaseException | None]] = []
        self.on_run: Callable[[Run], None] = lambda _: None
        self.app: ConsumerApp = consumer_app(
            group,
            TransportConfig(
                kafka=KafkaClients((bootstrap,)),
                assigned=lambda tps: self.heard.append(("assigned", tps)),
                revoked=lambda tps: self.heard.append(("revoked", tps)),
                drain_seconds=0.3,
                limits=limits,
            ),
        )
        consume(self.app, topics, self._agent, lambda *failure: self.failures.append(failure))

    async def _agent(self, runs: AsyncIterator[Run]) -> None:
        async for run in runs:
            self.runs.append(run)
            self.on_run(run)

    @property
    def consumer(self) -> RunConsumer:
        return runs_consumer(self.app)

    def offsets(self, partition: int = 0) -> list[int]:
        """Return the offsets of the delivered records of a partition."""
        return [record.offset for run in self.runs if run.partition == partition for record in run.records]


@asynccontextmanager
async def consuming(
    bootstrap: str, *topics: str, limits: RunLimits | None = None, group: str = ""
) -> AsyncIterator[Consuming]:
    """Yield a running app that has its assignment."""
    subject = Consuming(bootstrap, topics, limits or RunLimits(), group or f"group-{uuid4().hex[:12]}")
    async with asyncio.timeout(DEADLINE_SECONDS):
        await subject.app.start()
    await until(lambda: bool(subject.heard))
    try:
        yield subject
    finally:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await subject.app.stop()


@asynccontextmanager
async def group_client(bootstrap: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a client that can read a group's commits without joining the group."""
    client = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def lags(client: AIOKafkaConsumer, topic: str, partitions: int) -> list[int | None]:
    """Return each partition's end less the group's commit; None if the group has no commit."""
    tps = [TopicPartition(topic, partition) for partition in range(partitions)]
    ends = await client.end_offsets(tps)
    committed = [await client.committed(tp) for tp in tps]
    return [None if at is None else ends[tp] - at for tp, at in zip(tps, committed, strict=True)]


async def until_lags(client: AIOKafkaConsumer, topic: str, wanted: list[int | None]) -> None:
    """Wait until the lags are as wanted. Raises TimeoutError."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await lags(client, topic, len(wanted)) != wanted:
            await asyncio.sleep(0.05)


@contextmanager
def worker(folder: Path, **job: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker in a separate process; kill it at the end if it still runs."""
    log = (folder / f"{uuid4().hex[:8]}.log").open("wb")
    command = [sys.executable, "-m", "tests.support.transport_process", json.dumps(job)]
    with log, subprocess.Popen(command, stderr=log, stdout=log) as process:  # noqa: S603 - our own
        try:
            yield process
        finally:
            process.kill()


def ended(process: "subprocess.Popen[bytes]", seconds: float) -> tuple[int, float]:
    """Wait for the end of a process; return its exit code and the seconds waited."""
    began = time.monotonic()
    return process.wait(seconds), time.monotonic() - began


def terminated(process: "subprocess.Popen[bytes]", seconds: float = 25.0) -> tuple[int, float]:
    """Ask a process to stop; return its exit code and the seconds that took."""
    process.send_signal(signal.SIGTERM)
    return ended(process, seconds)
