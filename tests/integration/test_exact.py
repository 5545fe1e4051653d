"""End to end: whatever faults strike workers, the view and Postgres equal a recount in plain SQL."""

import asyncio
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tally.oracle.recount import RAW
from tally.schemas.topics import RAW_LIMIT_BYTES
from tally.simulator.poison import poisons
from tally.simulator.records import RawRecord
from tally.streams.operations import dead_letters
from tally.streams.settings import Settings, load, variable
from tests.support.judge import counted, prepare, publish, simulated, verdict
from tests.support.keys import SHOWN
from tests.support.servers import Kafka, Postgres
from tests.support.workers import WorkerProcess, environment_of, until_exit, workers

pytestmark = [pytest.mark.long, pytest.mark.asyncio, pytest.mark.timeout(240)]


@pytest.fixture
def environment(kafka: Kafka, database: str) -> dict[str, str]:
    return environment_of(kafka.bootstrap, database, f"e{uuid4().hex[:8]}-")


@pytest.fixture
def pair(environment: dict[str, str], tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    with workers(environment, tmp_path, "a", "b") as made:
        yield made


async def test_three_kills_one_of_them_with_the_disk_gone_lose_and_double_nothing(
    environment: dict[str, str], pair: list[WorkerProcess]
) -> None:
    await prepare(environment)
    worker, records = pair[0], simulated(seed=101)
    worker.start()
    await worker.ready()
    for life in range(3):
        third = records[life * len(records) // 3 : (life + 1) * len(records) // 3]
        publishing = asyncio.ensure_future(publish(environment, third))
        await asyncio.sleep(0.4)
        while not worker.state.exists():
            await asyncio.sleep(0.05)
        worker.kill()
        if life == 1:
            shutil.rmtree(worker.state)
        worker.start()
        await publishing
    await counted(worker)

    assert await verdict(worker) == []


async def test_offsets_that_somebody_sets_by_hand_lose_and_double_nothing(
    environment: dict[str, str], pair: list[WorkerProcess]
) -> None:
    """As `kafka-consumer-groups --reset-offsets --to-latest` does, with records that nobody has read."""
    await prepare(environment)
    worker, records = pair[0], simulated(seed=107, contacts_per_campaign=20)
    worker.start()
    await worker.ready()
    await publish(environment, records[::2])
    await counted(worker)
    worker.signal(signal.SIGTERM)
    assert await until_exit(worker, 30.0) == 0
    await publish(environment, records[1::2])
    await set_to_the_end(load(environment))
    worker.start()
    await counted(worker)

    assert await verdict(worker) == []


async def set_to_the_end(settings: Settings) -> None:
    """Commit the ends of the raw topics for the group that reads them, whose members have left."""
    topics = [settings.names.raw(topic) for topic in RAW]
    consumer = AIOKafkaConsumer(
        **settings.kafka.client(), group_id=f"{settings.names.app}-route", enable_auto_commit=False
    )
    await consumer.start()
    try:
        there = [TopicPartition(topic, nth) for topic in topics for nth in range(settings.partitions)]
        consumer.assign(there)
        await consumer.commit(await consumer.end_offsets(there))
    finally:
        await consumer.stop()


async def test_workers_may_join_leave_and_die_while_events_flow(
    environment: dict[str, str], pair: list[WorkerProcess]
) -> None:
    await prepare(environment)
    first, second = pair
    first.start()
    await first.ready()
    publishing = asyncio.ensure_future(publish(environment, simulated(seed=102), per_second=300))
    await asyncio.sleep(1)
    second.start()
    await second.ready()
    first.signal(signal.SIGTERM)

    assert await until_exit(first, 25) == 0
    first.start()
    await first.ready()
    second.kill()
    await publishing
    await counted(first)

    assert await verdict(first) == []


async def test_a_paused_worker_that_wakes_up_changes_nothing_and_exits(
    environment: dict[str, str], pair: list[WorkerProcess]
) -> None:
    await prepare(environment)
    zombie, successor = pair
    records = simulated(seed=103)
    zombie.start()
    await zombie.ready()
    publishing = asyncio.ensure_future(publish(environment, records[:1000], per_second=500))
    await asyncio.sleep(1)
    zombie.signal(signal.SIGSTOP)
    successor.start()
    await publishing
    await successor.ready()
    await counted(successor)
    zombie.signal(signal.SIGCONT)
    await publish(environment, records[1000:])
    await counted(successor)

    assert await until_exit(zombie, 30) != 0
    assert await verdict(successor) == []


async def statuses(worker: WorkerProcess, *paths: str) -> list[int]:
    """Return what the worker answers of a tenant."""
    found = []
    async with aiohttp.ClientSession(headers=SHOWN) as session:
        for path in paths:
            async with session.get(f"{worker.url}/v1/tenants/tenant-0{path}") as response:
                found.append(response.status)
    return found


async def test_counting_goes_on_while_postgres_is_away_and_it_catches_up(
    environment: dict[str, str], pair: list[WorkerProcess], postgres: Postgres
) -> None:
    if postgres.server is None:
        pytest.skip("the server is not ours to stop")
    await prepare(environment)
    worker, records = pair[0], simulated(seed=104)
    worker.start()
    await worker.ready()
    await publish(environment, records[:500])
    postgres.server.stop_immediately()
    try:
        await publish(environment, records[500:])
        await counted(worker)
        assert await statuses(worker, "/campaigns", "/operators", "/queues") == [200, 200, 200]
        campaign = "/campaigns/campaign-0"
        stored = ("/series", f"{campaign}/series", f"{campaign}/breakdown?by=hour", f"{campaign}/same-age")
        assert await statuses(worker, *stored) == [503] * 4
    finally:
        postgres.server.restart()

    assert await verdict(worker) == []
    assert worker.is_running


async def test_every_poison_is_one_dead_letter_or_accepted_and_good_events_beside_it_count(
    environment: dict[str, str], pair: list[WorkerProcess]
) -> None:
    await prepare(environment)
    worker = pair[0]
    # The broker itself refuses what is larger than the topic allows.
    table = [poison for poison in poisons() if len(poison.value or b"") < RAW_LIMIT_BYTES]
    good = simulated(seed=105, contacts_per_campaign=20)
    bad = [RawRecord(poison.topic, poison.name.encode(), poison.value) for poison in table]
    worker.start()
    await worker.ready()
    await publish(environment, [*good[:400], *bad, *good[400:]])
    await counted(worker)
    letters = {letter.key: letter for letter in await dead_letters.read(load(environment))}
    reasons = {poison.name: poison.reason for poison in table}

    assert {
        name: letters[name.encode()].reason if name.encode() in letters else None for name in reasons
    } == reasons
    assert all(letters[p.name.encode()].value == (p.value or b"") for p in table if p.reason)
    assert await verdict(worker) == []
    assert worker.is_running


async def test_only_what_is_meant_for_everybody_is_served(
    environment: dict[str, str], pair: list[WorkerProcess]
) -> None:
    await prepare(environment)
    worker = pair[0]
    worker.start()
    await worker.ready()
    async with aiohttp.ClientSession() as session:
        for path, status in {
            "/metrics": 404,
            "/health/live": 404,
            "/v1/tenants/t/campaigns/none": 404,
            "/": 200,  # a page, which holds no number
            "/table/": 404,
            "/router/": 404,
            "/stats/": 404,
            "/graph": 404,
        }.items():
            async with session.get(worker.url + path, headers=SHOWN) as response:
                assert (path, response.status) == (path, status)


async def test_a_worker_that_found_a_backlog_and_then_idles_is_alive(
    environment: dict[str, str], tmp_path: Path
) -> None:
    await prepare(environment)
    await publish(environment, simulated(seed=106, contacts_per_campaign=20))
    with workers({**environment, variable("stuck_seconds"): "2"}, tmp_path, "a") as (worker,):
        worker.start()
        await worker.ready()
        await counted(worker)
        await asyncio.sleep(4)
        async with (
            aiohttp.ClientSession() as session,
            session.get(worker.metrics_url + "/health/live") as response,
        ):
            assert (response.status, await response.json()) == (200, {"status": "ok", "reasons": []})
