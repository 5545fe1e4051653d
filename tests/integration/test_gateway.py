"""Laws of the gateway on a real Kafka: what got 200 is in the topic, byte for byte, and nothing else is."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tally.schemas.bounds import MIB
from tests.support.gateway import JSON, OLD_SECRET, VERIFY, Gateway, gateway, records_of, signature, signed
from tests.support.servers import Kafka
from tests.support.workers import environment_of

BODY = '{"object": "whatsapp_business_account", "entry": [], "x": "\\u00e4 ü 🙂 \\/ \\u0000"}\n '.encode()
NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
HEAD = (
    "POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
)
COUNTED = 'tally_gateway_webhooks_total{{app="{}",outcome="{}"}}'


@pytest.fixture
def environment(kafka: Kafka) -> dict[str, str]:
    return environment_of(kafka.bootstrap, NO_POSTGRES, f"g{uuid4().hex[:8]}-")


@pytest_asyncio.fixture
async def running(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(environment, tmp_path / "gateway.log") as one:
        await one.ready()
        yield one


@pytest.mark.asyncio
async def test_a_webhook_of_an_app_is_in_the_topic_byte_for_byte_with_its_headers(running: Gateway) -> None:
    other = signed(BODY, "another-secret")
    assert (await running.post(BODY)).status == 200
    assert (await running.post(BODY, signed(BODY, OLD_SECRET))).status == 200
    assert (await running.post(BODY, other, "/webhooks/other")).status == 200

    records = await records_of(running.settings, "webhook-events")
    assert [record.value for record in records] == [BODY] * 3
    headers = sorted((dict(record.headers) for record in records), key=lambda one: one["signature"])
    assert all(int(one.pop("received_at")) > 1_700_000_000_000 for one in headers)
    shop = {"app": b"shop", "tenant": b"t1"}
    assert headers == sorted(
        [
            shop | {"signature": signature(BODY).encode()},
            shop | {"signature": signature(BODY, OLD_SECRET).encode()},
            {"app": b"other", "signature": other["X-Hub-Signature-256"].encode()},
        ],
        key=lambda one: one["signature"],
    )
    assert await running.metric(COUNTED.format("shop", "accepted")) == 2
    assert await running.metric(COUNTED.format("other", "accepted")) == 1


@pytest.mark.asyncio
async def test_what_is_not_metas_is_refused_and_not_published(running: Gateway) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * (5 * MIB)

    refused = [
        (401, BODY, JSON, "/webhooks/shop"),
        (401, BODY, signed(BODY + b" "), "/webhooks/shop"),
        (401, BODY, signed(BODY, "another-secret"), "/webhooks/shop"),
        (401, BODY, signed(BODY), "/webhooks/other"),
        (404, BODY, signed(BODY), "/webhooks/nobody"),
        (401, BODY, signed(BODY), "/"),
        (401, BODY, signed(BODY), "/webhooks/shop/"),
        (415, BODY, signed(BODY) | {"Content-Encoding": "gzip"}, "/webhooks/shop"),
        (415, BODY, signed(BODY) | {"Content-Type": "text/plain"}, "/webhooks/shop"),
        (413, b"x" * (4 * MIB + 1), JSON, "/webhooks/shop"),
    ]
    for status, body, headers, path in refused:
        response = await running.post(body, headers, path)
        assert (response.status, path) == (status, path)
    async with running.http.post(f"{running.url}/webhooks/shop", data=chunks(), headers=JSON) as response:
        assert response.status == 413
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"):
        async with running.http.request(method, f"{running.url}/webhooks/shop") as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET,POST")

    assert await records_of(running.settings, "webhook-events") == []
    assert await running.metric(COUNTED.format("shop", "forged")) == 3
    assert await running.metric(COUNTED.format("other", "forged")) == 1
    assert await running.metric(COUNTED.format("shop", "unsupported")) == 2
    assert await running.metric(COUNTED.format("shop", "too_large")) == 2


@pytest.mark.asyncio
async def test_the_largest_body_and_the_empty_one_are_one_record_each(running: Gateway) -> None:
    bodies = [b"", b"x" * (3 * MIB), b"y" * (4 * MIB)]
    for body in bodies:
        assert (await running.post(body)).status == 200

    assert sorted(record.value for record in await records_of(running.settings, "webhook-events")) == bodies


@pytest.mark.asyncio
async def test_meta_registers_the_address_by_a_handshake_with_the_token(running: Gateway) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "a <b>ü 1158201444"}
    url = f"{running.url}/webhooks/shop"
    async with running.http.get(url, params=asked) as response:
        assert (response.status, await response.text()) == (200, asked["hub.challenge"])
        assert response.content_type == "text/plain"
    for wrong in (VERIFY[::-1], "", VERIFY + "x"):
        async with running.http.get(url, params=asked | {"hub.verify_token": wrong}) as response:
            assert (response.status, VERIFY in await response.text()) == (403, False)
    assert await running.metric(COUNTED.format("shop", "handshake_refused")) == 3


@pytest.mark.asyncio
async def test_a_body_that_comes_too_slowly_is_cut_off(running: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.settings.gateway_port)
    writer.write(HEAD.format(9).encode() + b"slow")
    async with asyncio.timeout(15):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert await running.metric(COUNTED.format("shop", "slow")) == 1
    assert await running.metric("tally_gateway_bytes_in_flight") == 0


@asynccontextmanager
async def begun(running: Gateway, count: int, body: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Send the begin of bodies that would be as large as may be, and go on by a byte at a time."""
    opened = [await asyncio.open_connection("127.0.0.1", running.settings.gateway_port) for _ in range(count)]

    async def drip() -> None:
        for _, writer in opened:
            writer.write(HEAD.format(4 * MIB).encode() + body)
        while True:
            await asyncio.sleep(0.1)
            for _, writer in opened:
                writer.write(b" ")

    dripping = asyncio.create_task(drip())
    try:
        yield [reader for reader, _ in opened]
    finally:
        dripping.cancel()
        for _, writer in opened:
            writer.close()


@pytest.mark.asyncio
async def test_who_announces_much_and_sends_little_keeps_nobody_out(
    environment: dict[str, str], tmp_path: Path
) -> None:
    bound, length = 8 * MIB, 3 * MIB
    held = "tally_gateway_bytes_in_flight"
    async with gateway(environment, tmp_path / "log", gateway_bytes=str(bound)) as running:
        await running.ready()
        async with begun(running, 50, b"begun"):
            await until(lambda: running.metric(held), 50 * 5)
            for body in (BODY, b"x" * length, b"y" * 4 * MIB):
                assert (await running.post(body)).status == 200
            assert 50 * 5 <= await running.metric(held) < 50 * 200

        # And who has sent nearly all of it makes room for what comes later.
        async with begun(running, 2, b"x" * length) as stalled:
            await until(lambda: running.metric(held), 2 * length)
            status = 503
            while status == 503:
                assert await running.metric(held) <= bound
                response = await running.post(b"z" * length)
                status = response.status
            assert status == 200
            answer = await asyncio.wait_for(stalled[0].readline(), 10)
            assert answer.startswith(b"HTTP/1.1 503 ")

        posted = await asyncio.gather(*(running.post(b"%d" % number * length) for number in range(8)))
        refused = [one for one in posted if one.status != 200]
        assert all((one.status, int(one.headers["Retry-After"]) > 0) == (503, True) for one in refused)
        assert len(refused) < len(posted)
        await until(lambda: running.metric(held), 0, at_most=True)


async def until(value: Callable[[], Awaitable[float]], wanted: float, *, at_most: bool = False) -> None:
    """Wait until a value is reached."""
    async with asyncio.timeout(20):
        while not (await value() <= wanted if at_most else await value() >= wanted):
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_it_stops_in_order_and_answers_what_is_under_way(running: Gateway) -> None:
    async def post(number: int) -> int:
        try:
            return (await running.post(b"%d" % number)).status
        except OSError:  # after the stop nobody listens
            return 0

    posting = [asyncio.create_task(post(number)) for number in range(500)]
    while not any(one.done() for one in posting):
        await asyncio.sleep(0)
    running.process.send_signal(signal.SIGTERM)

    statuses = await asyncio.gather(*posting)
    assert await running.process.wait() == 0
    assert set(statuses) <= {200, 0}
    kept = {record.value for record in await records_of(running.settings, "webhook-events")}
    assert {b"%d" % number for number, status in enumerate(statuses) if status == 200} <= kept


@pytest.mark.asyncio
async def test_several_of_one_deployment_share_a_port_and_another_is_refused(
    running: Gateway, environment: dict[str, str], tmp_path: Path
) -> None:
    port, log = str(running.settings.gateway_port), tmp_path / "other.log"
    async with (
        gateway(environment, tmp_path / "second.log", gateway_port=port) as second,
        gateway(environment, log, gateway_port=port, topic_prefix="other-") as other,
    ):
        assert await other.process.wait() == 2
        assert f"port {port} of 127.0.0.1 (TALLY_GATEWAY_PORT) cannot be shared" in log.read_text()
        await second.ready()
        connections = [running.http.get(f"{running.url}/") for _ in range(40)]
        assert {response.status for response in await asyncio.gather(*connections)} == {401}
