"""Laws of log-ins over HTTP: who gets a cookie, what it opens, and what ends it."""

import asyncio
from collections.abc import Mapping
from http.cookies import SimpleCookie
from time import monotonic

import aiohttp
import orjson
import pytest
from msgspec import structs

from tally.agents.clock import unix_ms
from tally.streams.keys.key import Key, digest_of
from tally.streams.keys.managing import new_key
from tally.streams.web.cookies import COOKIE
from tally.streams.web.log_in import MOST_BYTES, PATH
from tally.streams.web.routes import READ_API
from tests.support.events import stream
from tests.support.keys import KEY, PRESENTED, SHOWN
from tests.support.web_api import DESCRIBED, SUBJECTS, Api, error_code, serving

pytestmark = pytest.mark.asyncio

JSON = {"Content-Type": "application/json"}
CAMPAIGNS = "/v1/tenants/t1/campaigns"
BODY = orjson.dumps({"key": PRESENTED.text})


def of_page(api: Api) -> dict[str, str]:
    """What a browser says of a request that a page of this server makes."""
    return {"Origin": f"http://127.0.0.1:{api.port}"}


async def ask(
    api: Api, method: str, headers: Mapping[str, str], body: bytes = b"", target: str = PATH
) -> tuple[aiohttp.ClientResponse, bytes]:
    """Ask without a key."""
    url = f"http://127.0.0.1:{api.port}{target}"
    async with aiohttp.request(method, url, headers=dict(headers), data=body or None) as response:
        return response, await response.read()


async def logged_in(api: Api) -> dict[str, str]:
    """The cookie of a page that has logged in."""
    response, _ = await ask(api, "POST", of_page(api) | JSON, BODY)
    assert response.status == 200
    return {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}


async def test_a_page_logs_in_once_and_then_reads_with_its_cookie_alone(api: Api) -> None:
    response, body = await ask(api, "POST", of_page(api) | JSON, BODY)
    cookie = response.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert not cookie["secure"], "this page came without TLS"
    assert PRESENTED.secret not in cookie.value
    told = orjson.loads(body)
    assert told == {"key_id": PRESENTED.key_id, "by": "cookie", "tenants": ["*"], "scopes": list(KEY.scopes)}
    shown = {"Cookie": f"{COOKIE}={cookie.value}"}
    for target in (PATH, CAMPAIGNS):
        answered, _ = await ask(api, "GET", shown, target=target)
        assert (answered.status, answered.cookies) == (200, SimpleCookie())
        assert "Cookie" in answered.headers["Vary"]
    _, body = await ask(api, "GET", shown)
    assert orjson.loads(body) == told


async def test_over_tls_the_cookie_never_travels_without_it(api: Api) -> None:
    headers = {"Origin": "https://tally.example", "Sec-Fetch-Site": "same-origin"} | JSON
    response, _ = await ask(api, "POST", headers, BODY)
    assert response.cookies[COOKIE]["secure"]


async def test_who_shows_no_valid_key_gets_no_cookie(api: Api) -> None:
    blind = new_key()
    api.keyring.put(blind.key_id, Key(digest_of(blind.secret), ("ingest",), ("*",), 0))
    for key, status in ((new_key().text, 401), ("", 401), ("é" * 40, 401), (blind.text, 403)):
        response, _ = await ask(api, "POST", of_page(api) | JSON, orjson.dumps({"key": key}))
        assert (response.status, response.cookies) == (status, SimpleCookie()), key
    for body, headers, status in (
        (b"", JSON, 400),
        (b"key=1", JSON, 400),
        (b'{"key": 1}', JSON, 400),
        (BODY, {"Content-Type": "text/plain"}, 415),
        (b" " * (MOST_BYTES + 1), JSON, 413),
    ):
        response, said = await ask(api, "POST", of_page(api) | headers, body)
        assert (response.status, response.cookies) == (status, SimpleCookie())
        assert error_code(said)
    response, _ = await ask(api, "PATCH", of_page(api))
    assert response.status == 401


async def test_a_page_of_somebody_else_logs_nobody_in_or_out(api: Api) -> None:
    cookie = await logged_in(api)
    foreign: tuple[dict[str, str], ...] = (
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-site"},
    )
    for origin in foreign:
        for method in ("POST", "PUT", "DELETE"):
            response, said = await ask(api, method, origin | JSON | cookie, BODY)
            assert (response.status, error_code(said)) == (403, "foreign_origin"), (method, origin)
            assert not response.cookies
    for origin in foreign[1:]:
        response, _ = await ask(api, "GET", origin | cookie, target=CAMPAIGNS)
        assert response.status == 403
    response, _ = await ask(api, "POST", of_page(api) | JSON | {"Host": "evil.example"}, BODY)
    assert response.status == 421


async def test_an_allowed_page_of_another_origin_needs_its_own_key(api: Api) -> None:
    dash = {"Origin": "https://dash.example"}
    api.admission.origins = frozenset(dash.values())
    response, _ = await ask(api, "GET", dash | await logged_in(api), target=CAMPAIGNS)
    assert response.status == 401
    response, _ = await ask(api, "POST", dash | JSON, BODY)
    assert response.status == 403


async def test_a_cookie_opens_nothing_that_writes_and_no_other_address(api: Api) -> None:
    cookie = await logged_in(api)
    for endpoint in READ_API:
        target = endpoint.path.format(tenant="t1", campaign="c1", operator="o1", queue="q1", **SUBJECTS)
        response, _ = await ask(api, "POST", of_page(api) | cookie, target=target)
        assert response.status == 401, target
    response, _ = await ask(api, "GET", cookie, target="/v1/nothing")
    assert response.status == 404


async def test_a_key_and_a_cookie_open_what_the_description_says_and_nothing_else(api: Api) -> None:
    cookie = await logged_in(api)
    api.catch_up()
    shown = {"nothing": {}, "key": SHOWN, "cookie": cookie}
    seen = set()
    for path, ways in DESCRIBED.document["paths"].items():
        target = path.format(
            tenant="t1", campaign="c1", operator="o1", queue="q1", **SUBJECTS, file="main.js", version="v"
        )
        for method, operation in ways.items():
            opened_by = {way for one in operation["security"] for way in one}
            for way, headers in shown.items():
                status = await status_of(api, method.upper(), of_page(api) | headers, target)
                is_open = not opened_by or way in opened_by
                assert (status not in (401, 403)) == is_open, (method, path, way, status)
                seen.add((way, is_open))
    closed = {("nothing", False), ("key", False)}
    assert seen == closed | {(way, True) for way in shown}, "each way was tried where it opens, and where not"


async def status_of(api: Api, method: str, headers: dict[str, str], target: str) -> int:
    """Ask, and read no more than the status: a stream has no end."""
    url = f"http://127.0.0.1:{api.port}{target}"
    async with aiohttp.request(method, url, headers=headers) as response:
        return response.status


async def test_an_open_page_lets_its_log_in_last_and_a_log_out_ends_it(api: Api) -> None:
    cookie = await logged_in(api)
    response, _ = await ask(api, "PUT", of_page(api) | cookie)
    assert (response.status, response.cookies[COOKIE]["httponly"]) == (200, True)
    response, _ = await ask(api, "DELETE", of_page(api) | cookie)
    assert response.status == 200
    assert response.cookies[COOKIE].value == ""
    for method in ("GET", "PUT"):
        response, _ = await ask(api, method, of_page(api))
        assert (response.status, response.cookies) == (401, SimpleCookie())


async def test_every_view_with_the_secret_knows_a_log_in_and_no_other_does(api: Api) -> None:
    cookie = await logged_in(api)
    async with serving(debug=False) as same, serving(debug=False, secret="o" * 32) as other:
        for one, status in ((same, 200), (other, 401)):
            response, _ = await ask(one, "GET", cookie, target=CAMPAIGNS)
            assert response.status == status


@pytest.mark.parametrize("ended", ["revoked", "expired"])
async def test_a_key_that_ends_ends_its_log_ins_and_their_streams_within_2_s(api: Api, ended: str) -> None:
    cookie = await logged_in(api)
    api.catch_up()
    async with stream(api.port, "/v1/tenants/t1/stream?campaigns=1", headers=cookie) as viewer:
        await viewer.next()
        over = {"revoked_at_ms": 1} if ended == "revoked" else {"expires_at_ms": unix_ms()}
        api.keyring.put(PRESENTED.key_id, structs.replace(KEY, **over))
        began_s = monotonic()
        async with asyncio.timeout(2):
            assert (await viewer.until("bye")).body == {"reason": "key_refused"}
        assert monotonic() - began_s < 2
    for target in (PATH, CAMPAIGNS):
        response, _ = await ask(api, "GET", cookie, target=target)
        assert response.status == 401
