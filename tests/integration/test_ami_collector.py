"""Laws of the collector on a real Kafka: the topic holds what the PBX sent, whatever fails on the way."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition

from tally.streams.ami.sink import open_sink
from tally.streams.dev.free_port import free_port
from tally.streams.settings import Settings, load, variable
from tests.support.ami_collector import Collecting, pbx_of
from tests.support.ami_server import SECRET, AmiServer, Plan, ami_server, events
from tests.support.servers import Kafka
from tests.support.transport import until
from tests.support.workers import tally_process

CUT = events("ast22__reconnect-part1-before-drop")
AFTER = events("ast22__reconnect-part2-after")
BURST = events("ast22__campaign-burst-10")
LAST = b"Event: QueueStatusComplete"
STOP_SECONDS = 20.0


def settings_of(kafka: Kafka, **more: str) -> Settings:
    given = {
        "kafka_bootstrap": kafka.bootstrap,
        "topic_prefix": f"ami-{uuid4().hex[:8]}-",
        "partitions": "2",
        "replication_factor": "1",
    }
    return load({variable(name): value for name, value in {**given, **more}.items()})


async def published(settings: Settings, count: int) -> list[Any]:
    """The first records of `ami-events`, partition by partition, and as many as there are."""
    consumer = AIOKafkaConsumer(**settings.kafka.client(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        topic = settings.names.raw("ami-events")
        consumer.assign([TopicPartition(topic, partition) for partition in range(settings.partitions)])
        records: list[Any] = []
        async with asyncio.timeout(30):
            while len(records) < count:
                for found in (await consumer.getmany(timeout_ms=200)).values():
                    records += found
        assert len({record.partition for record in records}) == 1
        return records
    finally:
        await consumer.stop()


@pytest.mark.asyncio
async def test_what_the_pbx_sent_is_in_the_topic_byte_for_byte_and_after_a_cut_what_there_is(
    kafka: Kafka,
) -> None:
    settings = settings_of(kafka)
    plans = Plan(CUT, tail=b"Event: Hangup\r\nUniq", is_cut=True), Plan([*AFTER, b"gibberish\r\n", *BURST])
    async with ami_server(*plans) as server:
        collecting = Collecting(
            [pbx_of(server, tenant="t1")], open_sink=lambda pbx: open_sink(settings, pbx), drain_seconds=20.0
        )
        async with collecting.running():
            await until(lambda: server.connections == 2 and LAST in server.sent[-1])
            # What a PBX has sent the collector may not yet have read, and a stop leaves that unread.
            await until(lambda: collecting.metric("published_total") == len(server.sent))

    records = await published(settings, len(server.sent))

    assert [record.value for record in records] == server.sent
    assert {record.key for record in records} == {b"pbx01"}
    assert any(b"Event: CoreShowChannel\r\n" in record.value for record in records[len(CUT) + 1 :])
    for record in records:
        headers = dict(record.headers)
        assert (headers["pbx"], headers["tenant"]) == (b"pbx01", b"t1")
        # Lists go by the clock of the PBX: here that of the recorded Pong.
        is_listed = b"ActionID: tally-resync-" in record.value
        age_ms = record.timestamp - int(headers["received_at"])
        assert int(headers["received_at"]) == 1_795_351_137_333 if is_listed else 0 <= age_ms < 60_000
        assert headers.get("malformed") == (b"no_fields" if record.value == b"gibberish\r\n" else None)


@asynccontextmanager
async def collector_process(
    settings: Settings, server: AmiServer, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A `tally ami` that reads a server."""
    pbx = {"name": "pbx01", "host": "127.0.0.1", "port": server.port, "username": "dialer", "secret": SECRET}
    named = ("kafka_bootstrap", "topic_prefix", "partitions", "replication_factor")
    own = {name: str(getattr(settings, name)) for name in named}
    own |= {"ami_metrics_port": str(settings.ami_metrics_port), "ami_pbxs": json.dumps([pbx])}
    async with tally_process({variable(name): value for name, value in own.items()}, log, "ami") as process:
        yield process


async def until_ready(settings: Settings) -> None:
    async with asyncio.timeout(30), ClientSession() as client:
        while True:
            try:
                async with client.get(f"http://127.0.0.1:{settings.ami_metrics_port}/health/ready") as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_a_collector_that_is_asked_to_stop_has_published_all_and_ends_with_0(
    kafka: Kafka, tmp_path: Path
) -> None:
    settings = settings_of(kafka, ami_metrics_port=str(free_port(0)))
    log = tmp_path / "log"
    async with ami_server(Plan(BURST)) as server, collector_process(settings, server, log) as process:
        await until_ready(settings)
        await server.push(*CUT)
        await until(lambda: LAST in b"".join(server.sent))
        await asyncio.sleep(0.1)  # what is on the wire when it stops is not read
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            assert await process.wait() == 0
        await until(lambda: len(server.asked("Logoff")) == 1)

    records = await published(settings, len(server.sent))
    assert [record.value for record in records] == server.sent
    assert SECRET not in log.read_text()
    assert "AMI session open" in log.read_text()
