"""A thousand campaigns of five hundred templates: half a million rows are read, answered and written."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from tally.agents.view.packed_rows import NAMES
from tally.deploy import migrate
from tally.oracle.api import Answers
from tally.schemas.counters import PLAIN
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template, partition_of
from tally.schemas.rows import PROGRESS_KEY, Progress, Row, encode
from tally.schemas.topics import COUNTERS, STATES
from tally.streams.operations import topics
from tally.streams.settings import Settings, load, variable
from tests.support.keys import answers_of
from tests.support.servers import Kafka
from tests.support.workers import WorkerProcess, environment_of, workers

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(900), pytest.mark.alone]

CAMPAIGNS, TEMPLATES, PARTITIONS = 1_000, 500, 8
TENANT = "t1"
PEAK_BYTES = 500 << 20
READ_SECONDS = 180.0
WRITTEN_SECONDS = 400.0
ANSWERED_SECONDS = 1.0
"""A whole campaign, the first time that anybody asks for it, beside a write of everything."""
LISTED_SECONDS = 60.0
"""Five hundred whole campaigns, a quarter of a million rows, the first time that anybody asks for them."""
WATCHED_SECONDS = 0.05
AT_MS = 1_795_000_000_000
VALUES = 500
"""Different rows; what they hold is drawn once, not half a million times."""


def values() -> list[tuple[int, bytes]]:
    """Draw rows of some fifty counts: their contacts, and their changelog values."""
    random, found = Random(17), []
    for _ in range(VALUES):
        counts = {name: random.randrange(1, 60) for name in PLAIN[:16]}
        counts |= {name: random.randrange(1, 9) for name in random.sample(NAMES[len(PLAIN) : 300], 32)}
        counts["pricing.marketing/regular"] = random.randrange(1, 60)
        row = Row(1_000, AT_MS, AT_MS + 1_000, ["770011223344"], dict(sorted(counts.items())), ["whatsapp"])
        found.append((counts["contacts"], encode(row)))
    return found


def rows_of(partition: int) -> Iterator[tuple[bytes, int]]:
    """Yield the keys of a partition's rows, and which of the values each has."""
    for campaign in range(CAMPAIGNS):
        for template in range(TEMPLATES):
            key = RowKey(
                TENANT, f"campaign-{campaign:04}", Template(f"promo_{template:03}", "pt_BR")
            ).encode()
            if partition_of(key, PARTITIONS) == partition:
                yield key, (campaign * TEMPLATES + template) % VALUES


async def store(settings: Settings) -> None:
    """Write the rows as folds do: for each partition in one transaction that ends with its progress."""
    drawn, topic = values(), settings.names.changelog(COUNTERS)
    states = settings.names.changelog(STATES)
    for partition in range(PARTITIONS):
        producer = AIOKafkaProducer(
            **settings.kafka.client(), transactional_id=uuid4().hex, max_batch_size=256 << 10, linger_ms=20
        )
        await producer.start()
        try:
            async with producer.transaction():
                for key, value in rows_of(partition):
                    await producer.send(topic, drawn[value][1], key=key, partition=partition)
                progress = encode(Progress(1_000, uuid4().hex, settings.rules.fingerprint, seq=1))
                for log in (states, topic):
                    await producer.send(log, progress, key=PROGRESS_KEY, partition=partition)
        finally:
            await producer.stop()


def memory_bytes(worker: WorkerProcess, what: str) -> int:
    assert worker.process is not None
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) << 10


async def until_read(worker: WorkerProcess, answers: Answers) -> float:
    """Wait until all partitions are read; return how long it took from here."""
    began = time.monotonic()
    while time.monotonic() - began < READ_SECONDS:
        assert worker.is_running, worker.log.read_text()[-3_000:]
        try:
            receipt = (await answers.get(f"/v1/tenants/{TENANT}/campaigns?limit=1"))["receipt"]
        except aiohttp.ClientError:
            receipt = None
        if receipt is not None and receipt["partitions"]["ready"] == PARTITIONS:
            return time.monotonic() - began
        await asyncio.sleep(WATCHED_SECONDS)
    raise AssertionError(f"not read within {READ_SECONDS:g} s: {worker.log.read_text()[-3_000:]}")


async def timed(answers: Answers, path: str) -> tuple[float, Any]:
    began = time.monotonic()
    answer = await answers.get(f"/v1/tenants/{TENANT}/{path}")
    return time.monotonic() - began, answer


async def until_written(worker: WorkerProcess, dsn: str) -> tuple[float, int]:
    """Wait until Postgres holds every row; return how long it took, and the sum of contacts there."""
    began = time.monotonic()
    connection = await asyncpg.connect(dsn)
    try:
        while time.monotonic() - began < WRITTEN_SECONDS:
            assert worker.is_running, worker.log.read_text()[-3_000:]
            held = await connection.fetchrow("SELECT count(*) AS rows, sum(contacts) FROM tally.counters")
            if held is not None and held["rows"] == CAMPAIGNS * TEMPLATES:
                return time.monotonic() - began, int(held["sum"])
            await asyncio.sleep(1.0)
    finally:
        await connection.close()
    raise AssertionError(f"not written within {WRITTEN_SECONDS:g} s")


async def test_half_a_million_rows_are_read_answered_and_written_in_half_a_gigabyte(
    kafka: Kafka, database: str, tmp_path: Path, record_property: Any
) -> None:
    await asyncio.to_thread(migrate.up, database)
    environment = environment_of(kafka.bootstrap, database, f"sizes-{uuid4().hex[:6]}-", roles="sink,view")
    environment[variable("partitions")] = str(PARTITIONS)
    settings = load(environment)
    await topics.declare(settings)
    await store(settings)
    drawn = [contacts for contacts, _ in values()]
    expected = sum(drawn[value] for n in range(PARTITIONS) for _, value in rows_of(n))
    with workers(environment, tmp_path, "a") as (worker,):
        worker.start()
        async with answers_of(worker, LISTED_SECONDS) as answers:
            read_s = await until_read(worker, answers)
            first_s, campaign = await timed(answers, "campaigns/campaign-0500")
            list_s, page = await timed(answers, "campaigns?limit=500")
            write_s, written = await until_written(worker, database)
            again_s, again = await timed(answers, "campaigns?limit=500")
            rest = await answers.get(f"/v1/tenants/{TENANT}/campaigns?limit=500&cursor={page['next_cursor']}")
        peak_bytes = memory_bytes(worker, "VmHWM")
        figures = {
            "rows": CAMPAIGNS * TEMPLATES,
            "peak_mb": round(peak_bytes / 1e6),
            "start_s": round(read_s, 1),
            "first_answer_s": round(first_s, 3),
            "list_of_500_s": round(list_s, 2),
            "list_again_s": round(again_s, 3),
            "written_s": round(write_s, 1),
        }
        print("sizes", figures)  # noqa: T201 - the figures are what `make faults` shows
        for name, figure in figures.items():
            record_property(name, figure)
    assert len(campaign["templates"]) == TEMPLATES
    assert again["campaigns"] == page["campaigns"]
    listed = [one["totals"]["contacts"] for part in (page, rest) for one in part["campaigns"]]
    assert (len(listed), sum(listed), written) == (CAMPAIGNS, expected, expected)
    assert peak_bytes <= PEAK_BYTES
    assert first_s <= ANSWERED_SECONDS
