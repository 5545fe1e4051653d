"""The ceiling contender: reads raw topics with aiokafka and parses each body with orjson, nothing else."""

import asyncio
import os
import sys
import time
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

DEADLINE_SECONDS = 300.0
POLL_MS = 200


async def read_and_parse(bootstrap: str, prefix: str, events: int) -> dict[str, float]:
    """Parse `events` events; return `first_s` and `done_s` (Unix seconds) and `cpu_s`."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await _assign(consumer, (f"{prefix}webhook-events", f"{prefix}send-results"))
            return await _drain(consumer, events)
    finally:
        await consumer.stop()


async def _assign(consumer: Any, topics: tuple[str, ...]) -> None:
    for topic in topics:
        await consumer._client._wait_on_metadata(topic)
    places = [
        TopicPartition(topic, part) for topic in topics for part in consumer.partitions_for_topic(topic)
    ]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)


async def _drain(consumer: Any, events: int) -> dict[str, float]:
    parsed, first_s, cpu_s = 0, time.time(), time.process_time()
    while parsed < events:
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                orjson.loads(record.value)
            parsed += len(records)
    return {"first_s": first_s, "done_s": time.time(), "cpu_s": time.process_time() - cpu_s}


if __name__ == "__main__":
    measured = asyncio.run(
        read_and_parse(
            os.environ["BENCH_BOOTSTRAP"], os.environ["BENCH_PREFIX"], int(os.environ["BENCH_EVENTS"])
        )
    )
    sys.stdout.write(orjson.dumps(measured).decode())
