"""A worker of another environment on our brokers ends before it counts, and our workers go on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from tally.deploy import migrate
from tally.schemas.topics import DEPLOYMENT
from tally.streams.operations import deployment
from tally.streams.settings import variable
from tally.tables.postgres.database import Database
from tests.support.judge import counted, prepare, publish, simulated, verdict
from tests.support.servers import Kafka, Postgres, empty_database, execute
from tests.support.workers import environment_of, settings_of, until_exit, workers

pytestmark = [pytest.mark.long, pytest.mark.asyncio, pytest.mark.timeout(240)]

EXIT_SECONDS = 60.0


@pytest.fixture
def other(postgres: Postgres) -> Iterator[str]:
    """Return the DSN of another environment's database."""
    with empty_database(postgres) as dsn:
        yield dsn


async def test_a_stray_worker_ends_before_it_counts_and_numbers_in_postgres_stay_true(
    kafka: Kafka, database: str, other: str, tmp_path: Path
) -> None:
    environment = environment_of(kafka.bootstrap, database, f"d{uuid4().hex[:8]}-")
    await prepare(environment)
    await asyncio.to_thread(migrate.up, other)
    with workers(environment, tmp_path, "ours", "stray") as (ours, stray):
        stray.environment[variable("postgres_dsn")] = other
        ours.start()
        await ours.ready()
        await publish(environment, simulated(7, contacts_per_campaign=10))
        await counted(ours)
        stray.start()
        assert await until_exit(stray, EXIT_SECONDS) == 70
        await publish(environment, simulated(8, contacts_per_campaign=10))
        await counted(ours)
        differences = await verdict(ours)
        told = stray.log.read_text()

    assert "foreign_database" in told
    assert "process started" not in told
    assert differences == []
    assert await written_to(other) == 0


async def test_a_database_that_lost_its_id_is_ours_by_its_counters_and_another_is_adopted_by_hand(
    kafka: Kafka, database: str, other: str, tmp_path: Path
) -> None:
    environment = environment_of(kafka.bootstrap, database, f"d{uuid4().hex[:8]}-")
    await prepare(environment)
    await asyncio.to_thread(migrate.up, other)
    moved = {**environment, variable("postgres_dsn"): other}
    with workers(environment, tmp_path, "a") as (worker,):
        worker.start()
        await worker.ready()
        await publish(environment, simulated(7, contacts_per_campaign=10))
        await counted(worker)
        assert await verdict(worker) == []
        worker.kill()
        first = await deployment.shown(settings_of(environment))
        await execute(database, "DELETE FROM tally.deployment")
        worker.start()
        await worker.ready()
        assert await deployment.shown(settings_of(environment)) == first
        worker.kill()
        made = await deployment.adopt(settings_of(moved))
        worker.environment.update(moved)
        worker.start()
        await worker.ready()
        await counted(worker)

    assert first[0] == first[1] is not None
    assert await deployment.shown(settings_of(moved)) == (made, made)
    assert await deployment.shown(settings_of(environment)) == (made, first[0])


@pytest.mark.parametrize("look", ["of_brokers", "database_id"])
async def test_two_workers_that_claim_a_database_at_once_agree(
    kafka: Kafka, database: str, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """The second one claims it right after the first one's first or second look."""
    environment = environment_of(kafka.bootstrap, database, f"d{uuid4().hex[:8]}-")
    settings = settings_of(environment)
    await prepare(environment)
    opened = await Database.open(database, connections=1)
    first, second = (deployment.Deployment(settings, opened, _no_stores) for _ in range(2))
    seen = getattr(deployment, look)

    async def then_claimed(where: Any) -> Any:
        found = await seen(where)
        monkeypatch.undo()
        await second.check()
        return found

    monkeypatch.setattr(deployment, look, then_claimed)
    try:
        await first.check()
    finally:
        await opened.close()

    brokers, held = await deployment.shown(settings)
    assert brokers == held is not None


async def _no_stores() -> list[str]:
    return []


async def test_records_of_others_in_the_topic_of_the_id_say_nothing(kafka: Kafka, database: str) -> None:
    environment = environment_of(kafka.bootstrap, database, f"d{uuid4().hex[:8]}-")
    settings = settings_of(environment)
    await prepare(environment)
    producer = AIOKafkaProducer(**settings.kafka.client(), acks="all")
    await producer.start()
    try:
        for key in (b"\xff\xfe", b"", b"staging"):
            await producer.send_and_wait(settings.names.raw(DEPLOYMENT), key=key, value=b"1")
        assert await deployment.of_brokers(settings) is None
        made = await deployment.adopt(settings)
        await producer.send_and_wait(settings.names.raw(DEPLOYMENT), key=b"staging", value=b"1")
    finally:
        await producer.stop()

    assert await deployment.shown(settings) == (made, made)


async def test_a_worker_on_other_brokers_does_not_write_into_a_database_that_has_its_own(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    """Another generation would not be kept apart by the rows' own keys."""
    environment = environment_of(kafka.bootstrap, database, f"d{uuid4().hex[:8]}-")
    staging = environment_of(kafka.bootstrap, database, f"d{uuid4().hex[:8]}-", generation="2")
    await prepare(environment)
    await prepare(staging)
    with workers(environment, tmp_path, "ours", "other") as (ours, other):
        other.environment.update(staging)
        ours.start()
        await ours.ready()
        await publish(environment, simulated(7, contacts_per_campaign=10))
        await counted(ours)
        assert await verdict(ours) == []
        written = await written_to(database)
        other.start()
        assert await until_exit(other, EXIT_SECONDS) == 70

    assert "foreign_database" in other.log.read_text()
    assert await written_to(database) == written


async def written_to(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        found: int = await connection.fetchval("SELECT count(*) FROM tally.sink_progress")
        return found
    finally:
        await connection.close()
