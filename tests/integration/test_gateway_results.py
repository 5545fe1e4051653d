"""Laws of what producers post: all items of a body are published, or none, for the tenants of their key."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tally.schemas.bounds import MIB
from tally.schemas.sources import key_of
from tally.streams.gateway import described
from tally.streams.keys import managing
from tally.streams.settings import load
from tests.support.described import Described
from tests.support.gateway import Gateway, gateway, records_of
from tests.support.keys import PRESENTED, SHOWN, put_key
from tests.support.servers import Kafka
from tests.support.workers import environment_of

pytestmark = pytest.mark.asyncio

NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
PATH = "/v1/tenants/t1/send-results"
DESCRIBED = Described(described.description().document)
ARRAY = SHOWN | {"Content-Type": "application/json"}
LINES = SHOWN | {"Content-Type": "application/x-ndjson"}


@pytest_asyncio.fixture
async def running(kafka: Kafka, tmp_path: Path) -> AsyncIterator[Gateway]:
    environment = environment_of(kafka.bootstrap, NO_POSTGRES, f"i{uuid4().hex[:8]}-")
    await put_key(load(environment))
    async with gateway(environment, tmp_path / "gateway.log", gateway_apps="[]") as one:
        await one.ready()
        yield one


def send(contact: int, **more: Any) -> dict[str, Any]:
    return {
        "tenant": "t1",
        "channel": "whatsapp",
        "campaign": "c1",
        "contact": {"id": contact, "wa_id": f"1555{contact:07d}"},
        "outcome": "accepted",
        "template": {"name": "promo", "language": "en"},
        "phone_number_id": "100",
        "message_id": f"wamid.{contact}",
        "time": 1_795_350_900_000,
    } | more


def lines(*items: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(item).encode() for item in items)


def array(*items: dict[str, Any]) -> bytes:
    return json.dumps(items).encode()


async def posted(running: Gateway, body: bytes, headers: dict[str, str], path: str = PATH) -> tuple[int, Any]:
    """Post a body, and hold the answer against the description of the gateway."""
    async with running.http.post(running.url + path, data=body, headers=headers) as response:
        answer = await response.read()
    DESCRIBED.check("POST", path.partition("?")[0], response.status, response.headers, answer)
    return response.status, json.loads(answer)


async def test_all_items_are_in_the_topic_as_they_came(running: Gateway) -> None:
    sends = [send(contact) for contact in range(2_500)]
    assert await posted(running, array(*sends[:1_000]), ARRAY) == (200, {"accepted": 1_000})
    assert await posted(running, lines(*sends[1_000:]), LINES) == (200, {"accepted": 1_500})

    records = await records_of(running.settings, "send-results")
    assert sorted(record.value for record in records) == sorted(json.dumps(one).encode() for one in sends)
    (headers,) = {frozenset(dict(record.headers)) for record in records}
    assert headers == {"received_at", "key"}
    assert {dict(record.headers)["key"] for record in records} == {PRESENTED.key_id.encode()}
    counted = 'tally_gateway_items_total{outcome="accepted",topic="send-results"}'
    assert await running.metric(counted) == 2_500


async def test_one_item_that_would_not_count_and_none_is_published(running: Gateway) -> None:
    items = [
        send(0),
        send(1, outcome="sent"),
        send(2, tenant="t2"),
        send(3) | {"phone_number_id": None},
        send(4),
    ]
    for body, headers in ((array(*items), ARRAY), (lines(*items), LINES)):
        status, answer = await posted(running, body, headers)
        assert (status, answer["error"]["code"], answer["refused"]) == (422, "bad_items", 3)
        assert [(bad["index"], bad["path"]) for bad in answer["bad"]] == [
            (1, "$.outcome"),
            (2, "$.tenant"),
            (3, "$.phone_number_id"),
        ]
        assert all(bad["expected"] for bad in answer["bad"]), answer["bad"]
    status, answer = await posted(running, array(*([send(1, outcome="sent")] * 500)), ARRAY)
    assert (status, answer["refused"], len(answer["bad"])) == (422, 500, 100)
    for body in (b"", b"{}", b"[]", b"[1", array(send(1))[:-1]):
        assert (await posted(running, body, ARRAY))[0] == 422, body

    assert await records_of(running.settings, "send-results") == []


async def test_a_dry_run_says_what_would_be_counted(running: Gateway) -> None:
    status, answer = await posted(running, array(send(1), send(2), send(1)), ARRAY, f"{PATH}?dry_run=1")

    assert (status, answer["dry_run"], answer["items"]) == (200, True, 3)
    campaign = next(one for one in answer["counters"] if one["added"].get("contacts"))
    assert (campaign["row"]["campaign"], campaign["added"]["contacts"]) == ("c1", 2)
    assert await records_of(running.settings, "send-results") == []
    assert (await posted(running, array(send(1)), ARRAY, f"{PATH}?dry_run=yes"))[0] == 400


async def test_only_a_key_for_the_tenant_with_ingest_may_post(running: Gateway) -> None:
    reader = await managing.add(running.settings, ("read",), ("t1",), 1)
    other = await managing.add(running.settings, ("ingest",), ("t2",), 1)
    body, json_type = array(send(1)), {"Content-Type": "application/json"}

    async def status(headers: dict[str, str], path: str = PATH) -> int:
        return (await posted(running, body, json_type | headers, path))[0]

    async with asyncio.timeout(30):
        while await status({"Authorization": f"Bearer {other.text}"}) == 401:
            await asyncio.sleep(0.05)
    assert await status({}) == 401
    assert await status({"Authorization": f"Bearer {reader.text}"}) == 403
    assert await status({"Authorization": f"Bearer {other.text}"}) == 404
    assert await status(SHOWN | {"Origin": "https://evil.example"}) == 403
    assert await status(SHOWN | {"Host": "evil.example"}) == 421
    assert await status(SHOWN, "/v1/tenants/t1/webhook-events") == 404
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        async with running.http.request(method, running.url + PATH) as response:
            assert response.status == 401, method
        async with running.http.request(method, running.url + PATH, headers=SHOWN) as response:
            assert response.status == 405, method
    assert await records_of(running.settings, "send-results") == []


async def test_a_body_is_bounded_and_of_a_known_type(running: Gateway) -> None:
    assert (await posted(running, array(send(1)), SHOWN | {"Content-Type": "text/csv"}))[0] == 415
    assert (await posted(running, array(send(1)), ARRAY | {"Content-Encoding": "gzip"}))[0] == 415
    deep = b"[" * 200_000 + b"]" * 200_000
    assert (await posted(running, deep, ARRAY))[0] == 422

    async def chunks() -> AsyncIterator[bytes]:
        yield b" " * (4 * MIB + 1)

    async with running.http.post(running.url + PATH, data=chunks(), headers=ARRAY) as response:
        assert response.status == 413


async def test_what_campaigns_are_called_is_under_their_keys(running: Gateway) -> None:
    said = [
        {
            "tenant": "t1",
            "campaign": f"c{number % 5}",
            "name": f"n{number}",
            "time": 1_795_350_800_000 + number,
        }
        for number in range(20)
    ]
    path = "/v1/tenants/t1/campaigns"
    assert await posted(running, array(*said), ARRAY, path) == (200, {"accepted": 20})

    records = await records_of(running.settings, "campaigns")
    assert {record.key for record in records} == {key_of("campaigns", record.value) for record in records}
    by_key = {(record.key, record.partition) for record in records}
    assert len(by_key) == len(dict(by_key)) == 5, "each key is in one partition, else none would be compacted"
