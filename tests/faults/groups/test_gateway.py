"""Group F, the gateway: no 200 before the brokers have it, and no memory for those that do not come."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest

from tally.deploy.local import LocalKafka
from tally.streams.dev.free_port import free_port
from tally.streams.settings import load, variable
from tests.faults.stack import until
from tests.faults.wire import Wire, wire
from tests.faults.wired_kafka import wired_kafka
from tests.support.gateway import Gateway, gateway, records_of
from tests.support.servers import Kafka
from tests.support.workers import environment_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
DELAY_SECONDS = 2.0
REFUSED_SECONDS = 3.0
BACK_SECONDS = 5.0
MEMORY_BYTES = 64 << 20
KILLS = int(os.environ.get("TALLY_TEST_KILLS", "50"))
SENDERS = 30
BODY_BYTES = 20_000


def body_of(number: int) -> bytes:
    return b"%d:" % number + os.urandom(300)


@asynccontextmanager
async def wired(folder: Path) -> AsyncIterator[tuple[Gateway, LocalKafka, Wire]]:
    """Run a broker of the test's own, and a gateway that reaches it through a wire."""
    ports = free_port(0), free_port(0)
    kafka = await asyncio.to_thread(wired_kafka((ports,)).start, folder / "servers", 0)
    try:
        direct = environment_of(kafka.bootstrap, NO_POSTGRES, "g-")
        through = direct | {variable("kafka_bootstrap"): f"127.0.0.1:{ports[0]}"}
        async with wire(*ports) as between, gateway(through, folder / "gateway.log") as running:
            await running.ready()
            running.settings = load(direct)
            yield running, kafka, between
    finally:
        await asyncio.to_thread(kafka.stop)


async def test_no_answer_comes_before_the_acknowledgement(tmp_path: Path) -> None:
    async with wired(tmp_path) as (running, _, between):
        assert (await running.post(b"before")).status == 200
        between.reply_delay_seconds = DELAY_SECONDS

        async def timed(number: int) -> tuple[float, int]:
            began_s = time.monotonic()
            status = (await running.post(body_of(number))).status
            return time.monotonic() - began_s, status

        # One after the other: behind a batch under way a request may wait for two acknowledgements.
        alone = [await timed(number) for number in range(3)]
        beside = await asyncio.gather(*(timed(number) for number in range(20)))
        between.mend()

    assert [status for _, status in alone] == [200] * 3
    assert min(seconds for seconds, _ in [*alone, *beside]) >= DELAY_SECONDS
    assert {status for _, status in beside} <= {200, 503}


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_while_brokers_are_away_each_answer_is_503_and_memory_is_bounded(
    tmp_path: Path, how: str
) -> None:
    away_seconds = float(os.environ.get("TALLY_TEST_AWAY_SECONDS", "20"))
    answers: list[tuple[float, int, str]] = []
    sent: dict[bytes, int] = {}

    async def sender(running: Gateway, stop: asyncio.Event) -> None:
        while not stop.is_set():
            body = os.urandom(BODY_BYTES)
            began_s = time.monotonic()
            response = await running.post(body)
            answers.append(
                (time.monotonic() - began_s, response.status, response.headers.get("Retry-After", ""))
            )
            sent[sha256(body).digest()] = response.status
            if response.status != 200:
                await asyncio.sleep(0.05)

    async with wired(tmp_path) as (running, kafka, _):
        stop = asyncio.Event()
        senders = [asyncio.create_task(sender(running, stop)) for _ in range(3 * SENDERS)]
        await until(lambda: len(answers) > 1_000, 30, "requests are answered")
        assert {status for _, status, _ in answers} == {200}
        before_bytes = resident_bytes(running)
        await asyncio.to_thread(kafka.kill) if how == "kill" else os.kill(kafka.pid, signal.SIGSTOP)
        await asyncio.sleep(REFUSED_SECONDS + 1)
        answers.clear()
        most_bytes, until_s = 0, time.monotonic() + away_seconds
        while time.monotonic() < until_s:
            most_bytes = max(most_bytes, resident_bytes(running))
            await asyncio.sleep(0.1)
        while_away = list(answers)
        await asyncio.to_thread(kafka.restart) if how == "kill" else os.kill(kafka.pid, signal.SIGCONT)
        back_s = time.monotonic()
        answers.clear()
        await until(lambda: any(status == 200 for _, status, _ in answers), 30, "a request is accepted")
        took_s = time.monotonic() - back_s
        stop.set()
        await asyncio.gather(*senders)
        kept = {
            sha256(record.value).digest() for record in await records_of(running.settings, "webhook-events")
        }

    assert len(while_away) > SENDERS
    assert {(status, bool(after)) for _, status, after in while_away} == {(503, True)}
    assert max(seconds for seconds, _, _ in while_away) <= REFUSED_SECONDS
    assert most_bytes - before_bytes <= MEMORY_BYTES
    assert took_s <= BACK_SECONDS
    assert {digest for digest, status in sent.items() if status == 200} <= kept


async def test_every_body_that_got_200_survives_fifty_kills_under_load(kafka: Kafka, tmp_path: Path) -> None:
    environment = environment_of(kafka.bootstrap, NO_POSTGRES, "k-")
    port = str(free_port(0))
    safe: set[bytes] = set()
    lost_answers = 0

    async def sender(running: Gateway) -> None:
        nonlocal lost_answers
        number = 0
        while True:
            body = body_of(number)
            number += 1
            try:
                status = (await running.post(body)).status
            except aiohttp.ClientError:
                lost_answers += 1
                return
            if status == 200:
                safe.add(sha256(body).digest())

    for kill in range(KILLS):
        async with gateway(environment, tmp_path / "gateway.log", gateway_port=port) as running:
            await running.ready()
            wanted = len(safe) + 10 + 7 * kill
            senders = [asyncio.create_task(sender(running)) for _ in range(SENDERS)]
            await until(partial(reached, safe, wanted), 120, "bodies are safe")
            running.process.kill()
            await asyncio.gather(*senders)

    kept = {sha256(record.value).digest() for record in await records_of(load(environment), "webhook-events")}
    assert lost_answers == KILLS * SENDERS
    assert safe <= kept


def reached(safe: set[bytes], wanted: int) -> bool:
    return len(safe) >= wanted


def resident_bytes(running: Gateway) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) << 10
