"""Freshness: how long after its publication an event is in a campaign's answer, and in Postgres.

Probes are send results of a campaign of their own, published one at a time while a load flows or nothing
does; a dashboard asks for that campaign again and again until it shows the probe.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer
from msgspec import Struct

from tally.streams.settings import variable
from tally.streams.simulator.records import SEND_RESULTS, RawRecord, as_producers_write
from tests.bench.processes import contender
from tests.bench.raw_topics import send_together
from tests.bench.reads_stage import own_database, process
from tests.support.judge import prepare
from tests.support.workers import WorkerProcess, environment_of

PROBES, CAMPAIGN = "probes", "probe"
ALL_ROLES = "route,fold,flush,view"
PROBE_COUNT = 200
BETWEEN_SECONDS = (0.02, 0.1)
SEEN_SECONDS = 15.0
WARM_UP_SECONDS = 5.0
MARGIN_SECONDS = 20.0
VIEW_POLL_SECONDS = 0.002
POSTGRES_POLL_SECONDS = 0.02
HELD = "SELECT coalesce(sum(accepted), 0) FROM tally.counters WHERE tenant = $1"


class Delay(Struct, frozen=True):
    """From the broker's acknowledgement of a probe until somebody sees it."""

    p50_ms: float
    p99_ms: float
    probes: int


class Freshness(Struct, frozen=True):
    """Delays while nothing else flows, and while a load does."""

    idle_view: Delay
    per_second: float
    view: Delay
    postgres: Delay


def delay(seconds: Sequence[float]) -> Delay:
    """Return median and 99th percentile by nearest rank."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[math.ceil(len(ordered) * share) - 1] * 1000 for share in (0.5, 0.99))
    return Delay(p50, p99, len(ordered))


async def measure_freshness(bootstrap: str, dsn: str, folder: Path, per_second: float) -> Freshness:
    """Measure one worker with all roles, idle and then under a steady load."""
    async with own_database(dsn) as database:
        environment = environment_of(bootstrap, database, "fresh-", partitions="8")
        await prepare(environment)
        async with (
            process(environment, folder, "fresh", ALL_ROLES, "state") as worker,
            Probing(worker) as probing,
        ):
            idle = [await probing.seen_in_view() for _ in range(PROBE_COUNT)]
            async with _flowing(bootstrap, environment, folder, per_second):
                await asyncio.sleep(WARM_UP_SECONDS)
                view = [await probing.seen_in_view() for _ in range(PROBE_COUNT)]
                postgres = [await probing.seen_in_postgres() for _ in range(PROBE_COUNT // 4)]
    return Freshness(delay(idle), per_second, delay(view), delay(postgres))


@asynccontextmanager
async def _flowing(
    bootstrap: str, environment: dict[str, str], folder: Path, per_second: float
) -> AsyncIterator[None]:
    """Let a load flow for as long as the probes take. Raises AssertionError: it ended before them."""
    told = {
        "BENCH_BOOTSTRAP": bootstrap,
        "BENCH_PREFIX": environment[variable("topic_prefix")],
        "BENCH_PARTITIONS": environment[variable("partitions")],
        "BENCH_PER_SECOND": str(per_second),
        "BENCH_SECONDS": str(WARM_UP_SECONDS + PROBE_COUNT * 0.6 + MARGIN_SECONDS),
    }
    with contender("tests.bench.steady", told, folder / "steady.log") as producer:
        assert producer.stdout is not None
        await asyncio.to_thread(producer.stdout.readline)
        yield
        assert producer.poll() is None, "the load ended before the probes"


class Probing:
    """Publishes probes, and looks for them."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._rng = Random(1)
        self._published = 0

    async def __aenter__(self) -> "Probing":
        await self._worker.ready()
        self._producer = AIOKafkaProducer(**self._worker.settings.kafka_client(), acks="all")
        await self._producer.start()
        self._session = aiohttp.ClientSession()
        self._postgres = await asyncpg.connect(self._worker.settings.postgres_dsn.get_secret_value())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()
        await self._session.close()
        await self._postgres.close()

    async def seen_in_view(self) -> float:
        """Publish a probe; return the seconds until the campaign's answer has it."""
        return await self._until_seen(self._in_view, VIEW_POLL_SECONDS)

    async def seen_in_postgres(self) -> float:
        """Publish a probe; return the seconds until Postgres has it."""
        return await self._until_seen(self._in_postgres, POSTGRES_POLL_SECONDS)

    async def _until_seen(self, seen: Callable[[], Awaitable[int]], poll_seconds: float) -> float:
        await asyncio.sleep(self._rng.uniform(*BETWEEN_SECONDS))
        self._published += 1
        await send_together(self._producer, self._worker.settings, [_probe(self._published)])
        began = time.monotonic()
        async with asyncio.timeout(SEEN_SECONDS):
            while await seen() < self._published:
                await asyncio.sleep(poll_seconds)
        return time.monotonic() - began

    async def _in_view(self) -> int:
        url = f"{self._worker.url}/v1/tenants/{PROBES}/campaigns/{CAMPAIGN}"
        async with self._session.get(url) as response:
            return int((await response.json())["totals"]["accepted"]) if response.status == 200 else 0

    async def _in_postgres(self) -> int:
        return int(await self._postgres.fetchval(HELD, PROBES))


def _probe(nth: int) -> RawRecord:
    body = {
        "tenant": PROBES,
        "channel": "whatsapp",
        "campaign": CAMPAIGN,
        "contact": {"id": nth, "phone": f"3160{nth:07d}"},
        "outcome": "accepted",
        "template": {"name": "probe", "language": "en"},
        "phone_number_id": f"10654{nth % 64:04d}",
        "message_id": f"wamid.probe-{nth}",
        "time": round(time.time() * 1000),
    }
    return RawRecord(SEND_RESULTS, None, as_producers_write(body))
