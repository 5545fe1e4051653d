"""Faults caused by other programs: open transactions, bombs, and workers of another deployment."""

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tally.deploy import migrate
from tally.streams.settings import variable
from tests.faults.plan import Strike
from tests.faults.stack import Stack
from tests.support.keys import answers_of
from tests.support.workers import WorkerProcess

OPEN_SECONDS = 4.0
LOOK_SECONDS = 0.2
BOMB_BYTES = 64 << 20
CALL_SECONDS = 30.0
STRAY_SECONDS = 45.0


class OthersNemesis:
    """Actions of other programs on the same brokers."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def open_transaction(self, _: Strike) -> None:
        """Hold a transaction open on a raw topic; no answer can include the records behind it.

        It is aborted in the end, so its record never becomes visible.
        """
        settings = self._stack.settings
        producer = AIOKafkaProducer(**settings.kafka.client(), transactional_id=f"other-{uuid4().hex}")
        await asyncio.wait_for(producer.start(), CALL_SECONDS)
        try:
            await producer.begin_transaction()
            topic = settings.names.raw("send-results")
            await asyncio.wait_for(producer.send_and_wait(topic, b"never", partition=0), CALL_SECONDS)
            opened_ms = time.time() * 1000
            async with asyncio.timeout(CALL_SECONDS):
                while time.time() * 1000 < opened_ms + OPEN_SECONDS * 1000:
                    for worker in self._stack.workers:
                        assert await _as_of_ms(worker) <= opened_ms, "an answer speaks of later than it knows"
                    await asyncio.sleep(LOOK_SECONDS)
            await producer.abort_transaction()
        finally:
            await asyncio.wait_for(producer.stop(), CALL_SECONDS)

    async def bomb(self, _: Strike) -> None:
        """Publish a small batch that unpacks to far more than a record may hold; brokers may refuse it."""
        settings = self._stack.settings
        taken = 0
        for codec in ("gzip", "lz4", "zstd", "snappy"):
            producer = AIOKafkaProducer(
                **settings.kafka.client(),
                compression_type=codec,
                max_request_size=2 * BOMB_BYTES,
                max_batch_size=2 * BOMB_BYTES,
            )
            await asyncio.wait_for(producer.start(), CALL_SECONDS)
            try:
                topic = settings.names.raw("webhook-events")
                sending = producer.send_and_wait(topic, bytes(BOMB_BYTES), headers=[("fault", b"bomb")])
                await asyncio.wait_for(sending, CALL_SECONDS)
                taken += 1
            except KafkaError:
                continue  # refused, and the producer knows it
            finally:
                await asyncio.wait_for(producer.stop(), CALL_SECONDS)
        assert taken, "brokers refused every bomb: nobody had to read one"

    async def second_deployment(self, _: Strike) -> None:
        """Start a worker with another database: it must end by itself and name the reason."""
        name = f"other_{uuid4().hex}"
        connection = await asyncpg.connect(self._stack.dsn, timeout=CALL_SECONDS)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        dsn = urlunsplit(urlsplit(self._stack.dsn)._replace(path=f"/{name}"))
        await asyncio.to_thread(migrate.up, dsn)
        folder = self._stack.workers[0].log.parent
        other = {**self._stack.environment, variable("postgres_dsn"): dsn}
        stray = WorkerProcess(other, Path(folder), f"stray-{name[-6:]}")
        stray.start()
        try:
            code = await asyncio.to_thread(stray.wait, STRAY_SECONDS)
        finally:
            stray.kill()
        assert code not in (0, 1), f"a worker of another deployment ended with {code}"
        assert "foreign_database" in stray.log.read_text(encoding="utf-8"), "it does not say why it ended"


async def _as_of_ms(worker: WorkerProcess) -> float:
    """Return the moment of a worker's answers in unix ms; 0 if it does not answer or knows none."""
    try:
        async with answers_of(worker) as answers:
            return await answers.live_as_of_ms()
    except (aiohttp.ClientError, TimeoutError):
        return 0.0
