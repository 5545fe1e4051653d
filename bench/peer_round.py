"""One round of a peer: a separate process counts all raw topics, and publishes rows until they are right."""

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.oracle import PeerRows
from bench.processes import contender, cpu_seconds
from bench.tally_round import Round

STARTED_SECONDS = 90.0
RIGHT_SECONDS = 900.0
POLL_MS = 200


class PeerFailed(Exception):
    """A peer ended, or did not reach the right rows in time."""


async def peer_round(
    module: str, environment: dict[str, str], folder: Path, python: Path, right: PeerRows
) -> Round:
    """Run a peer until its rows are right. Raises PeerFailed.

    The clock runs from the first raw event to Kafka's timestamp of the last row.
    """
    with contender(module, environment, folder / "peer.log", python) as process:
        first = await asyncio.wait_for(asyncio.to_thread(_first_line, process), STARTED_SECONDS)
        used = cpu_seconds(process.pid)
        done_s = await _right_at(environment, right, process)
        return Round(done_s - first["first_s"], {"peer": cpu_seconds(process.pid) - used})


def _first_line(process: "subprocess.Popen[bytes]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise PeerFailed("it ended before its first record")
    return orjson.loads(line)


async def _right_at(
    environment: dict[str, str], right: PeerRows, process: "subprocess.Popen[bytes]"
) -> float:
    """Follow the rows of the peer until all are right; return Kafka's timestamp of the last, in seconds."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=environment["BENCH_BOOTSTRAP"],
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    rows: dict[tuple[str, ...], tuple[int, ...]] = {}
    topic, ends_at = f"{environment['BENCH_NAME']}-rows", time.monotonic() + RIGHT_SECONDS
    await consumer.start()
    try:
        await _assign(consumer, topic)
        latest_ms = 0
        while rows != right:
            if time.monotonic() > ends_at or process.poll() is not None:
                raise PeerFailed(f"{_off(rows, right)} of {len(right)} rows are not right")
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    rows[tuple(orjson.loads(record.key))] = tuple(orjson.loads(record.value))
                    latest_ms = max(latest_ms, record.timestamp)
        return latest_ms / 1000
    finally:
        await consumer.stop()


async def _assign(consumer: Any, topic: str) -> None:
    async with asyncio.timeout(STARTED_SECONDS):
        while topic not in await consumer.topics():
            await asyncio.sleep(POLL_MS / 1000)
        await consumer._client._wait_on_metadata(topic)
    places = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)


def _off(rows: PeerRows, right: PeerRows) -> int:
    return sum(rows.get(key) != expected for key, expected in right.items())
