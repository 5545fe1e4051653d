"""A producer of its own process: real bodies at a steady rate, a batch for each partition every few ms."""

import asyncio
import os
import sys
import time

import orjson
from aiokafka import AIOKafkaProducer

from tests.bench.load import Size, load
from tests.bench.raw_topics import send_together
from tests.support.workers import environment_of, settings_of

TICK_SECONDS = 0.01
EVENTS_PER_MESSAGE = 3.8
SEED = 7


async def flow(bootstrap: str, prefix: str, per_second: float, seconds: float) -> dict[str, float]:
    """Publish events for some time at a steady rate; return how many, and the rate that it came to."""
    settings = settings_of(environment_of(bootstrap, "", prefix, partitions=os.environ["BENCH_PARTITIONS"]))
    records = load(Size(int(per_second * seconds / EVENTS_PER_MESSAGE) + 1_000), SEED)
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    producer = AIOKafkaProducer(**settings.kafka_client(), acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        began, sent = time.monotonic(), 0
        while (past_s := time.monotonic() - began) < seconds and sent < len(records):
            due = min(int(past_s * per_second), len(records))
            await send_together(producer, settings, records[sent:due])
            sent = due
            await asyncio.sleep(TICK_SECONDS)
        return {"events": sent, "per_second": sent / (time.monotonic() - began)}
    finally:
        await producer.stop()


if __name__ == "__main__":
    told = os.environ
    came = asyncio.run(
        flow(
            told["BENCH_BOOTSTRAP"],
            told["BENCH_PREFIX"],
            float(told["BENCH_PER_SECOND"]),
            float(told["BENCH_SECONDS"]),
        )
    )
    sys.stdout.write(orjson.dumps(came).decode())
