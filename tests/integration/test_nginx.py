"""The doors behind nginx with TLS, once as docs/proxy.md has it and once with nothing but its defaults."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
import pytest
import pytest_asyncio

from tally.schemas.bounds import MIB
from tally.schemas.grains import RowKey
from tests.support.gateway import VERIFY, Gateway, gateway, records_of, signed
from tests.support.keys import SHOWN
from tests.support.nginx import HOOKS, VIEW, Nginx, nginx
from tests.support.servers import Kafka
from tests.support.view_rows import PROMO, put
from tests.support.web_api import Api, serving
from tests.support.workers import environment_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
BODY = '{"object": "whatsapp_business_account", "x": "\\u00e4 ü 🙂 \\/"}\n '.encode()
FRAME_SECONDS = 2.5
"""A frame comes each second; nginx would hold back some kilobytes of them, which is minutes."""


class Behind:
    """nginx, and what is behind it."""

    def __init__(self, proxy: Nginx, door: Gateway, api: Api, http: aiohttp.ClientSession) -> None:
        self.proxy = proxy
        self.door = door
        self.api = api
        self._http = http

    @asynccontextmanager
    async def asked(
        self, host: str, method: str, path: str, headers: dict[str, str], **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask a server by its name."""
        async with self._http.request(
            method,
            self.proxy.url + path,
            headers={"Host": host} | headers,
            ssl=self.proxy.context,
            server_hostname=host,
            **more,
        ) as response:
            yield response

    async def posted(self, body: bytes, headers: dict[str, str] | None = None) -> int:
        """Post a webhook."""
        shown = signed(body) if headers is None else headers
        async with self.asked(HOOKS, "POST", "/webhooks/shop", shown, data=BytesIO(body)) as response:
            await response.read()
            return response.status


@asynccontextmanager
async def behind(kafka: Kafka, folder: Path, *, as_documented: bool) -> AsyncIterator[Behind]:
    environment = environment_of(kafka.bootstrap, NO_POSTGRES, f"n{uuid4().hex[:8]}-")
    names = {"web_hosts": f"{HOOKS},{VIEW}"}
    async with (
        serving(debug=False, hosts=(VIEW,)) as api,
        gateway(environment, folder / "gateway.log", **names) as door,
        nginx(folder, door.settings.gateway_port, api.port, as_documented=as_documented) as proxy,
        aiohttp.ClientSession() as http,
    ):
        await door.ready()
        api.catch_up()
        yield Behind(proxy, door, api, http)


@pytest_asyncio.fixture
async def as_documented(kafka: Kafka, tmp_path: Path) -> AsyncIterator[Behind]:
    async with behind(kafka, tmp_path, as_documented=True) as made:
        yield made


async def test_webhooks_arrive_byte_for_byte_up_to_the_largest(as_documented: Behind) -> None:
    bodies = [BODY, b"y" * (4 * MIB)]
    assert [await as_documented.posted(body) for body in bodies] == [200, 200]
    assert await as_documented.posted(BODY, signed(BODY + b" ")) == 401
    assert await as_documented.posted(b"z" * (4 * MIB + 1)) == 413
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    async with as_documented.asked(HOOKS, "GET", "/webhooks/shop", {}, params=asked) as response:
        assert (response.status, await response.text()) == (200, "1158201444")

    kept = [record.value for record in await records_of(as_documented.door.settings, "webhook-events")]
    assert sorted(kept) == sorted(bodies)


async def test_while_no_gateway_listens_the_sender_is_told_to_come_again(as_documented: Behind) -> None:
    assert await as_documented.posted(BODY) == 200
    as_documented.door.process.terminate()
    assert await as_documented.door.process.wait() == 0
    assert await as_documented.posted(BODY) == 502


async def test_pages_of_its_own_name_may_ask_and_no_others(as_documented: Behind) -> None:
    put(as_documented.api.view, RowKey("t1", "c1", PROMO), {"contacts": 3})
    for headers, wanted in (
        (SHOWN, 200),
        ({}, 401),
        (SHOWN | {"Origin": f"https://{VIEW}"}, 200),
        (SHOWN | {"Origin": "https://evil.example"}, 403),
    ):
        async with as_documented.asked(VIEW, "GET", "/v1/tenants/t1/campaigns", dict(headers)) as response:
            assert response.status == wanted
    async with as_documented.asked(VIEW, "GET", "/v1/tenants/t1/campaigns", dict(SHOWN)) as response:
        tag = response.headers["ETag"]
        again = SHOWN | {"If-None-Match": tag}
    async with as_documented.asked(VIEW, "GET", "/v1/tenants/t1/campaigns", again) as response:
        assert (response.status, response.headers["ETag"]) == (304, tag)


@pytest.mark.parametrize("documented", [True, False], ids=["as documented", "defaults"])
async def test_frames_of_a_stream_come_at_once(kafka: Kafka, tmp_path: Path, documented: bool) -> None:
    async with behind(kafka, tmp_path, as_documented=documented) as all_of_it:
        assert await all_of_it.posted(BODY) == 200
        assert await all_of_it.posted(b"x" * (2 * MIB)) == (200 if documented else 413)
        put(all_of_it.api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
        path = "/v1/tenants/t1/stream?campaign=c1"
        async with all_of_it.asked(VIEW, "GET", path, dict(SHOWN)) as response:
            assert response.status == 200
            for contacts in range(2, 5):
                put(
                    all_of_it.api.view,
                    RowKey("t1", "c1", PROMO),
                    {"contacts": contacts},
                    next_offset=contacts,
                )
                began_s = time.monotonic()
                while await next_contacts(response) != contacts:
                    pass
                assert time.monotonic() - began_s < FRAME_SECONDS


async def next_contacts(response: aiohttp.ClientResponse) -> int | None:
    """Return the number that the next frame shows; None if it shows none."""
    async with asyncio.timeout(FRAME_SECONDS):
        while not (line := await response.content.readline()).startswith(b"data: "):
            pass
    shown = orjson.loads(line.removeprefix(b"data: ")).get("campaign")
    return None if shown is None else int(shown["totals"]["contacts"])
