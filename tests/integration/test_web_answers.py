"""What all answers of the read API have in common: limits, compression, request ids and metrics."""

import gzip
import json
import logging

import aiohttp
import pytest
from yarl import URL

from tally.schemas.grains import RowKey
from tally.streams.web.limits import Limit
from tests.support.keys import SHOWN
from tests.support.view_rows import PROMO, put
from tests.support.web_api import Api, serving

pytestmark = pytest.mark.asyncio
LIST = "/v1/tenants/t1/campaigns"


async def raw(api: Api, accepted: str) -> tuple[aiohttp.ClientResponse, bytes]:
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        url = URL(f"http://127.0.0.1:{api.port}{LIST}")
        async with http.get(url, headers=SHOWN | {"Accept-Encoding": accepted}) as response:
            return response, await response.read()


async def test_a_long_answer_is_compressed_for_who_takes_it_and_its_tag_is_weak(api: Api) -> None:
    for number in range(50):
        put(api.view, RowKey("t1", f"c{number}", PROMO), {"contacts": 1})
    plain, body = await raw(api, "identity")
    packed, packed_body = await raw(api, "gzip")

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed_body))["campaigns"] == json.loads(body)["campaigns"]
    assert len(packed_body) < 0.2 * len(body)
    assert plain.headers["ETag"] == packed.headers["ETag"]
    assert plain.headers["ETag"].startswith('W/"')
    for one in (plain, packed):
        assert one.headers["Vary"] == "Accept-Encoding, Authorization, Cookie"
        assert one.headers["Cache-Control"] == "private, no-cache"
    unchanged, _ = await api.ask(LIST, headers={"If-None-Match": packed.headers["ETag"]})
    assert (unchanged.status, unchanged.headers["Vary"]) == (304, "Accept-Encoding, Authorization, Cookie")


@pytest.mark.parametrize(
    ("target", "status"),
    [(f"{LIST}/none", 404), (f"{LIST}?limit=x", 400), ("/nowhere", 404), (LIST.replace("t1", "%FF"), 400)],
)
async def test_a_refusal_too_says_what_it_depends_on(api: Api, target: str, status: int) -> None:
    response, _ = await api.ask(target)
    assert (response.status, response.headers["Vary"]) == (status, "Accept-Encoding, Authorization, Cookie")


async def test_a_short_answer_is_not_compressed(api: Api) -> None:
    response, body = await raw(api, "gzip")
    assert "Content-Encoding" not in response.headers
    assert json.loads(body)["campaigns"] == []


async def test_a_key_that_asks_too_often_is_told_when_to_ask_again() -> None:
    async with serving(debug=False, limit=Limit(per_second=0.1, burst=3)) as api:
        for _ in range(3):
            response, _ = await api.ask(LIST)
            assert response.status == 200
        for _ in range(20):
            response, body = await api.ask(LIST)
            assert response.status == 429
            assert 1 <= int(response.headers["Retry-After"]) <= 10
            assert json.loads(body)["error"]["code"] == "too_many_requests"
        response, _ = await api.ask(LIST, headers={"Authorization": "Bearer x"})
        assert response.status == 401, "who has no key uses up nobody's limit"


async def test_requests_are_counted_by_route_and_status_and_carry_an_id(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    response, _ = await api.ask(LIST, headers={"X-Request-Id": "from-a-proxy"})
    assert response.headers["X-Request-Id"] == "from-a-proxy"
    response, _ = await api.ask("/v1/tenants/%2B31612345678/campaigns/none")
    assert len(response.headers["X-Request-Id"]) == 16
    await api.ask("/nowhere", headers={"Authorization": ""})

    page = api.metrics.exposition("")[0].decode()
    for line in (
        'tally_http_requests_total{route="/v1/tenants/{tenant}/campaigns",status="200"} 1.0',
        'tally_http_requests_total{route="/v1/tenants/{tenant}/campaigns/{campaign}",status="404"} 1.0',
        'tally_http_requests_total{route="none",status="401"} 1.0',
        'tally_http_seconds_count{route="/v1/tenants/{tenant}/campaigns"} 1.0',
    ):
        assert line in page
    assert "31612345678" not in page
    assert "31612345678" not in caplog.text
