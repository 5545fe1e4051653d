"""Probes: send results of a separate campaign, each polled for until it is counted."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer

from bench.raw_topics import send_together
from tally.simulator.records import SEND_RESULTS, RawRecord, as_producers_write
from tests.support.workers import WorkerProcess

PROBES = "probes"
BETWEEN_SECONDS = 0.1
BETWEEN_FLUSHES_SECONDS = 1.0
"""A probe becomes visible at the end of a flush: a random pause spreads the next one over the interval."""
SEEN_SECONDS = 15.0
VIEW_POLL_SECONDS = 0.002
POSTGRES_POLL_SECONDS = 0.02
HELD = "SELECT coalesce(sum(accepted), 0) FROM tally.counters WHERE tenant = $1 AND campaign = $2"


class Probing:
    """Publishes the probes of one campaign one at a time, and polls for each; several may run at once."""

    def __init__(self, worker: WorkerProcess, nth: int) -> None:
        self._worker = worker
        self._nth = nth
        self._campaign = f"probe-{nth}"
        self._rng = Random(nth)
        self._published = 0

    async def __aenter__(self) -> "Probing":
        await self._worker.ready()
        self._producer = AIOKafkaProducer(**self._worker.settings.kafka.client(), acks="all")
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
        return await self._until_seen(self._in_view, BETWEEN_SECONDS, VIEW_POLL_SECONDS)

    async def seen_in_postgres(self) -> float:
        """Publish a probe; return the seconds until Postgres has it."""
        return await self._until_seen(self._in_postgres, BETWEEN_FLUSHES_SECONDS, POSTGRES_POLL_SECONDS)

    async def _until_seen(
        self, seen: Callable[[], Awaitable[int]], between_seconds: float, poll_seconds: float
    ) -> float:
        await asyncio.sleep(self._rng.uniform(0, between_seconds))
        self._published += 1
        await send_together(self._producer, self._worker.settings, [self._probe()])
        began = time.monotonic()
        async with asyncio.timeout(SEEN_SECONDS):
            while (found := await seen()) < self._published:
                await asyncio.sleep(poll_seconds)
        assert found == self._published, f"{found} probes are counted, {self._published} were published"
        return time.monotonic() - began

    async def _in_view(self) -> int:
        url = f"{self._worker.url}/v1/tenants/{PROBES}/campaigns/{self._campaign}"
        async with self._session.get(url) as response:
            return int((await response.json())["totals"]["accepted"]) if response.status == 200 else 0

    async def _in_postgres(self) -> int:
        return int(await self._postgres.fetchval(HELD, PROBES, self._campaign))

    def _probe(self) -> RawRecord:
        nth = self._published
        body = {
            "tenant": PROBES,
            "channel": "whatsapp",
            "campaign": self._campaign,
            "contact": {"id": nth, "phone": f"316{self._nth}{nth:07d}"},
            "outcome": "accepted",
            "template": {"name": "probe", "language": "en"},
            "phone_number_id": f"10654{nth % 64:04d}",
            "message_id": f"wamid.{self._campaign}-{nth}",
            "time": round(time.time() * 1000),
        }
        return RawRecord(SEND_RESULTS, None, as_producers_write(body))
