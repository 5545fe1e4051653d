"""Group B, logs that are not what was left behind: cut off, or refusing what is too large."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from tally.schemas.topics import RAW_LIMIT_BYTES
from tally.simulator.records import WEBHOOK_EVENTS, RawRecord
from tally.streams.operations.topics import admin
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.stack import Stack, stack, until
from tests.support.judge import simulated

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]

NAMED_SECONDS = 30.0
TEN_MEGABYTES = 10 << 20


async def test_a_log_that_begins_beyond_progress_stops_the_worker_by_name_and_is_never_jumped_over(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, ("a", "router"), partitions="1") as deployment:
        worker, router = deployment.workers
        router.environment["TALLY_ROLES"] = "route"
        await deployment.start("a")
        async with Sender(deployment.settings) as sender:
            records = simulated(421, contacts_per_campaign=20)
            await sender.send(records[:500])
            await deployment.counted(worker, NAMED_SECONDS)
            # Not what its group has committed, which may lie far before its progress.
            counted = await log_end(deployment)
            await stopped(deployment)
            router.start()
            await sender.send(records[500:])
            await cut_off(deployment, counted)
        worker.start()
        deployment.held.discard(worker)
        await until(lambda: len(deployment.exits) > 0, NAMED_SECONDS, "the worker ends")
        deployment.held.add(worker)
        told = worker.log.read_text()

    assert deployment.exits[0] == ("a", 70)
    assert "ProgressOutsideLog" in told
    assert "restore the log, or raise the generation and replay the raw topics" in told


async def stopped(deployment: Stack) -> None:
    worker = deployment.workers[0]
    deployment.held.add(worker)
    worker.kill()
    assert not worker.is_running


async def cut_off(deployment: Stack, counted: int) -> None:
    """Delete facts that nobody has counted, as a retention that is too short would."""
    facts = TopicPartition(deployment.settings.names.facts, 0)
    deadline = asyncio.get_running_loop().time() + NAMED_SECONDS
    while (end := await log_end(deployment)) < counted + 200:
        assert asyncio.get_running_loop().time() < deadline, "nothing was routed meanwhile"
        await asyncio.sleep(0.1)
    async with admin(deployment.settings) as client:
        await client.delete_records({facts: RecordsToDelete(before_offset=end - 50)})


async def log_end(deployment: Stack) -> int:
    partition = TopicPartition(deployment.settings.names.facts, 0)
    consumer = AIOKafkaConsumer(**deployment.settings.kafka.client())
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets([partition])
    finally:
        await consumer.stop()
    return ends[partition]


async def test_a_record_beyond_every_limit_is_refused_to_its_producer_and_disturbs_nobody(
    tmp_path: Path,
) -> None:
    records = simulated(422, contacts_per_campaign=20)
    rng = Random(422)
    for size_bytes in (RAW_LIMIT_BYTES * 2, TEN_MEGABYTES):
        large = RawRecord(WEBHOOK_EVENTS, b"large", b'{"a":"' + b"x" * size_bytes + b'"}')
        records.insert(rng.randrange(len(records) // 2), large)
    async with stack(tmp_path, ("a",)) as deployment:
        await deployment.start()
        async with Sender(deployment.settings) as sender:
            await sender.send(records, 1_000)
            found = await assert_exact(deployment, deployment.workers[0], sender.sent)

    assert (found.arrived.failed, found.arrived.unknown) == (2, 0)
    assert deployment.exits == []
