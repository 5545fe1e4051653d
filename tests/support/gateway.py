"""A gateway process for tests, and a sender that signs as Meta does."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from tally.streams.dev.free_port import free_port
from tally.streams.settings import Settings, load, variable
from tests.support.workers import tally_process

SECRET, OLD_SECRET = "the-app-secret", "the-secret-before"
VERIFY = "a-verify-token-of-enough-letters"
APPS = [
    {"name": "shop", "secrets": [SECRET, OLD_SECRET], "verify_token": VERIFY, "tenant": "t1"},
    {"name": "other", "secrets": ["another-secret"], "verify_token": VERIFY[::-1]},
]
STARTED_SECONDS = 60.0
JSON = {"Content-Type": "application/json"}


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Return the headers with which Meta posts a body."""
    return {**JSON, "X-Hub-Signature-256": signature(body, secret)}


class Gateway:
    """A running gateway and a client of it."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.http = http
        self.url = f"http://127.0.0.1:{settings.gateway_port}"
        self.metrics_url = f"http://127.0.0.1:{settings.gateway_metrics_port}"
        self.process: asyncio.subprocess.Process

    async def post(
        self, body: bytes, headers: dict[str, str] | None = None, path: str = "/webhooks/shop"
    ) -> aiohttp.ClientResponse:
        """Post a webhook; without headers, as Meta does."""
        async with self.http.post(
            self.url + path, data=BytesIO(body), headers=signed(body) if headers is None else headers
        ) as response:
            await response.read()
            return response

    async def ready(self) -> None:
        """Wait until the gateway says that it is ready. Raises AssertionError with its last answer."""
        url = f"{self.metrics_url}/health/ready"
        began = time.monotonic()
        while True:
            try:
                async with self.http.get(url) as response:
                    if response.status == 200:
                        return
                    last = f"status {response.status}"
            except aiohttp.ClientError as error:
                last = repr(error)
            ended = self.process.returncode
            assert ended is None, f"the gateway ended with {ended}; last from {url}: {last}"
            assert time.monotonic() - began < STARTED_SECONDS, f"no 200 from {url}; last: {last}"
            await asyncio.sleep(0.05)

    async def metric(self, line: str) -> float:
        """Return the value of a series, written as in the exposition."""
        async with self.http.get(f"{self.metrics_url}/metrics") as response:
            text = await response.text()
        return next(
            float(one.rpartition(" ")[2]) for one in text.splitlines() if one.rpartition(" ")[0] == line
        )


def gateway_environment(environment: dict[str, str], **more: str) -> dict[str, str]:
    given = {
        "gateway_apps": json.dumps(APPS),
        "gateway_port": str(free_port(0)),
        "gateway_metrics_port": str(free_port(0)),
        **more,
    }
    return environment | {variable(name): value for name, value in given.items()}


@asynccontextmanager
async def gateway(environment: dict[str, str], log: Path, **more: str) -> AsyncIterator[Gateway]:
    """Run a gateway until the end of the test; it may not be ready yet."""
    environment = gateway_environment(environment, **more)
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(timeout=timeout, connector=connector) as http,
        tally_process(environment, log, "gateway") as process,
    ):
        running = Gateway(load(environment), http)
        running.process = process
        yield running


async def records_of(settings: Settings, topic: str) -> list[Any]:
    """Return all records of a raw topic."""
    consumer = AIOKafkaConsumer(**settings.kafka.client(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        name = settings.names.raw(topic)
        tps = [TopicPartition(name, partition) for partition in range(settings.partitions)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        records: list[Any] = []
        async with asyncio.timeout(60):
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for found in (await consumer.getmany(timeout_ms=200)).values():
                    records += found
        return records
    finally:
        await consumer.stop()
