"""The judge of end-to-end tests: publishes simulated events and compares with a recount in plain SQL."""

import json
import time
from collections.abc import Sequence
from random import Random

from tally.deploy import migrate
from tally.oracle.comparison import Difference
from tally.schemas.sources import key_of
from tally.simulator.campaign import past_start_s
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tally.streams.dev.judging import judged
from tally.streams.dev.publisher import Publisher
from tally.streams.operations import topics
from tally.streams.settings import load
from tests.support.keys import answers_of
from tests.support.workers import WorkerProcess

COUNTED_SECONDS = 60.0


def simulated(seed: int, contacts_per_campaign: int = 60) -> list[RawRecord]:
    size = Size(contacts_per_campaign=contacts_per_campaign, calls_per_campaign=contacts_per_campaign // 4)
    start_s = past_start_s(int(time.time()), size)
    return [*_described(start_s), *mixed(Random(seed), start_s, size)]


def _described(start_s: int) -> list[RawRecord]:
    """Return what is said of a campaign, twice, and a record that is bad in one field."""
    sayings = [
        {"name": "November", "status": "running", "planned": 7, "tags": ["b", "a"], "time": start_s * 1000},
        {"status": "paused", "limits": {"per_second": 80}, "time": start_s * 1000 + 5},
        {"status": "", "planned": 9, "time": start_s * 1000 + 9},
    ]
    values = [json.dumps({"tenant": "tenant-0", "campaign": "c/1", **said}).encode() for said in sayings]
    return [RawRecord("campaigns", key_of("campaigns", value), value) for value in values]


async def prepare(environment: dict[str, str]) -> None:
    """Migrate the database and declare the topics."""
    settings = load(environment)
    migrate.up(settings.postgres_dsn.get_secret_value())
    await topics.declare(settings)


async def publish(
    environment: dict[str, str], records: Sequence[RawRecord], per_second: float = 3_000
) -> None:
    async with Publisher(load(environment)) as publisher:
        await publisher.publish(records, lambda _: None, per_second)


async def counted(worker: WorkerProcess, deadline_seconds: float = COUNTED_SECONDS) -> float:
    """Wait until the worker's answers hold everything published so far; return the seconds that took."""
    async with answers_of(worker) as answers:
        return await answers.wait_until_counted(time.time() * 1000, deadline_seconds)


async def verdict(worker: WorkerProcess) -> list[Difference]:
    """Return every difference between the recount and the view or Postgres."""
    async with answers_of(worker) as answers:
        judgement = await judged(worker.settings, answers, by_cell=True)
    return [*judgement.in_view, *judgement.in_postgres, *judgement.in_cells]
