"""A worker whose logs do not match its progress ends with a named error and changes no number."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka.admin import NewPartitions

from tally.schemas.topics import CHANGELOGS
from tally.streams.operations import topics
from tally.streams.operations.altering import alter
from tests.support.judge import counted, prepare, publish, simulated
from tests.support.servers import Kafka
from tests.support.workers import WorkerProcess, environment_of, until_exit, workers

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]

EXIT_SECONDS = 60.0


@pytest_asyncio.fixture
async def worker(kafka: Kafka, database: str, tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    """Yield a worker that has counted a little, and runs."""
    environment = environment_of(kafka.bootstrap, database, f"l{uuid4().hex[:8]}-", partitions="2")
    await prepare(environment)
    with workers(environment, tmp_path, "a") as (one,):
        one.start()
        await one.ready()
        await publish(environment, simulated(5, contacts_per_campaign=10))
        await counted(one)
        yield one


async def test_partitions_that_are_raised_end_a_running_worker_and_keep_it_from_starting(
    worker: WorkerProcess,
) -> None:
    names = [topic.name for topic in topics.wanted(worker.settings) if topic.as_facts]
    async with topics.admin(worker.settings) as client:
        facts = worker.settings.names.facts
        await client.create_partitions({name: NewPartitions(4) for name in (facts, *names)})

    assert await until_exit(worker, EXIT_SECONDS) == 70
    assert "has 4 partitions, and had 2 when it was counted" in worker.log.read_text()
    before = worker.log.stat().st_size
    worker.start()
    assert await until_exit(worker, EXIT_SECONDS) == 70
    assert b"PartitionsChanged" in worker.log.read_bytes()[before:]
    assert b"process started" not in worker.log.read_bytes()[before:]


async def test_a_worker_does_not_start_on_topics_that_are_not_as_declared(worker: WorkerProcess) -> None:
    states, counters = (worker.settings.names.changelog(log) for log in CHANGELOGS)
    harm = {states: {"cleanup.policy": "delete"}, counters: {"min.compaction.lag.ms": "60000"}}
    async with topics.admin(worker.settings) as client:
        assert await alter(client, harm) == []
    worker.kill()
    before = worker.log.stat().st_size
    worker.start()

    assert await until_exit(worker, EXIT_SECONDS) == 70
    told = worker.log.read_bytes()[before:]
    assert f"{states}: cleanup.policy is delete, must be compact".encode() in told
    assert f"{counters}: min.compaction.lag.ms is 60000, must be at least 7200000".encode() in told
    assert b"tally topics declare --alter" in told
    await topics.declare(worker.settings, mend=True)
    worker.start()
    await worker.ready()
