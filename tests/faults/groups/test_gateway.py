"""Group F, the gateway: no 200 before the brokers have it, and no memory for those that do not come."""

import asyncio
import os
import time
from functools import partial
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest

from tally.streams.dev.free_port import free_port
from tally.streams.settings import load
from tests.faults.gateway_away import NO_POSTGRES, How, stay_away, wired
from tests.faults.groups.striking import measured
from tests.faults.stack import until
from tests.support.gateway import Gateway, gateway, records_of
from tests.support.servers import Kafka
from tests.support.workers import environment_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

DELAY_SECONDS = 2.0
AWAY_SECONDS = 20.0
"""`make outage` is ten minutes of it."""
KILLS = int(os.environ.get("TALLY_TEST_KILLS", "50"))
SENDERS = 30


def body_of(number: int) -> bytes:
    return b"%d:" % number + os.urandom(300)


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
    tmp_path: Path, how: How
) -> None:
    (await stay_away(tmp_path, how, AWAY_SECONDS)).check()


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
    measured("F kills", {"kills": KILLS, "bodies that got 200": len(safe), "missing": len(safe - kept)})
    assert lost_answers == KILLS * SENDERS
    assert safe <= kept


def reached(safe: set[bytes], wanted: int) -> bool:
    return len(safe) >= wanted
