"""Nobody is let in without a key, under a foreign name, or for another tenant, whatever the address."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from tally.agents.clock import unix_ms
from tally.schemas.grains import RowKey
from tally.streams.keys.key import Key, Presented, Scope, digest_of
from tally.streams.keys.managing import new_key
from tally.streams.web.routes import NEEDED, PAGES, READ_API, STREAM, WITHOUT_KEY
from tests.support.timing import difference
from tests.support.view_rows import PROMO, put
from tests.support.web_api import SUBJECTS, Api

pytestmark = pytest.mark.asyncio

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
EVIL = "https://evil.example"


def grant(
    api: Api,
    *tenants: str,
    scopes: tuple[Scope, ...] = ("read",),
    expires_at_ms: int | None = None,
    revoked_at_ms: int | None = None,
) -> Presented:
    made = new_key()
    key = Key(digest_of(made.secret), scopes, tenants, 0, expires_at_ms, revoked_at_ms)
    api.keyring.put(made.key_id, key)
    return made


def shown(presented: Presented) -> dict[str, str]:
    return {"Authorization": f"Bearer {presented.text}"}


def targets(tenant: str) -> Iterator[str]:
    for one in (*READ_API, *STREAM):
        yield one.path.format(tenant=tenant, campaign="c1", operator="o1", queue="q1", **SUBJECTS)
        yield (
            one.path.format(tenant=tenant, campaign="c1", operator="o1", queue="q1", **SUBJECTS) + "?limit=1"
        )


async def test_the_router_has_no_address_without_a_rule(api: Api) -> None:
    assert api.paths == {*NEEDED, *WITHOUT_KEY}, "a new address needs a rule: what it asks of a key"
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    for path in WITHOUT_KEY:
        assert f"`{path}`" in page, f"{path} needs no key: docs/security.md must list it"


async def test_without_a_valid_key_every_address_and_method_is_401_and_says_the_same(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    expired = grant(api, "*", expires_at_ms=unix_ms() - 1)
    revoked = grant(api, "*", revoked_at_ms=unix_ms() - 1)
    wrong = [
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {revoked.text}"},
        shown(new_key()),
        shown(Presented(grant(api, "*").key_id, new_key().secret)),
        shown(expired),
        shown(revoked),
    ]
    others = ("/v1", "/v1/tenants", "/metrics", "/health/live", "/openapi.json", "/static/x", "/table/")
    said = set()
    for target in (*targets("t1"), *targets("nobody"), *others):
        for method in METHODS:
            for headers in wrong:
                response, body = await api.ask(target, method, headers)
                assert response.status == 401, (method, target, headers)
                assert response.headers["WWW-Authenticate"] == 'Bearer realm="tally"'
                said.add(body)
    assert said == {b"", next(body for body in said if body)}, "the answer teaches nothing"


async def test_a_key_of_another_tenant_gets_what_a_tenant_that_does_not_exist_gets(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    headers = shown(grant(api, "t2", "T3")) | {"X-Request-Id": "of-both"}
    for there, nowhere in zip(targets("t1"), targets("nobody"), strict=True):
        for method in METHODS:
            (found, body), (missing, same) = [
                await api.ask(target, method, headers) for target in (there, nowhere)
            ]
            assert (found.status, body) == (missing.status, same), (method, there)
            assert found.status == (404 if method in ("GET", "HEAD") else 405)
            dated = {"Date": ""}
            assert dict(found.headers) | dated == dict(missing.headers) | dated
    for odd in ("t2%2Fx", "%2A", "*", "t%32x", "T2", "{t2}"):
        response, _ = await api.ask(f"/v1/tenants/{odd}/campaigns", headers=headers)
        assert response.status == 404, odd
    for ours in ("t2", "%742", "T3"):
        response, _ = await api.ask(f"/v1/tenants/{ours}/campaigns", headers=headers)
        assert response.status == 200, ours


async def test_the_time_does_not_tell_whether_a_tenant_exists(api: Api) -> None:
    for campaign in range(200):
        put(api.view, RowKey("t1", f"c{campaign}", PROMO), {"contacts": 1})
    headers = shown(grant(api, "t2"))

    async def ask(tenant: str) -> None:
        response, _ = await api.ask(f"/v1/tenants/{tenant}/campaigns", headers=headers)
        assert response.status == 404

    assert await difference(lambda: ask("t1"), lambda: ask("nobody")) < 0.2


async def test_a_scope_that_is_missing_is_403(api: Api) -> None:
    response, body = await api.ask(
        "/v1/tenants/t1/campaigns", headers=shown(grant(api, "*", scopes=("ingest",)))
    )
    assert (response.status, orjson.loads(body)["error"]["code"]) == (403, "missing_scope")


async def test_pages_of_others_are_refused_on_loopback_too(api: Api) -> None:
    for headers, status in (
        ({"Host": "evil.example"}, 421),
        ({"Host": f"evil.example:{api.port}"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "localhost"}, 200),
        ({"Host": f"LOCALHOST:{api.port}"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Origin": EVIL}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "http://\u2100"}, 403),
        ({"Host": "[::1"}, 421),
        ({"Origin": f"http://127.0.0.1:{api.port + 1}"}, 403),
        ({"Origin": f"http://127.0.0.1:{api.port}"}, 200),
    ):
        response, _ = await api.ask("/v1/tenants/t1/campaigns", headers=headers)
        assert response.status == status, headers
        assert ("Access-Control-Allow-Origin" in response.headers) == ("Origin" in headers and status == 200)
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "GET"}
    response, _ = await api.ask("/v1/tenants/t1/campaigns", "OPTIONS", asked)
    assert response.status == 403


async def test_pages_of_a_listed_origin_may_ask_with_a_key(api: Api) -> None:
    api.admission.origins = frozenset({"https://dash.example"})
    origin = {"Origin": "https://dash.example"}
    asked = origin | {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    response, _ = await api.ask("/v1/tenants/t1/campaigns", "OPTIONS", asked)
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (204, origin["Origin"])
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "If-None-Match", "Last-Event-ID", "X-Request-Id"} <= set(allowed)
    response, _ = await api.ask("/v1/tenants/t1/campaigns", headers=origin)
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, origin["Origin"])
    assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in response.headers
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{api.port}/v1/tenants/t1/campaigns"
        async with http.get(url, headers=origin) as without_key:
            assert without_key.status == 401


async def test_every_answer_keeps_browsers_from_guessing_and_framing(api: Api) -> None:
    for target, headers in (("/v1/tenants/t1/campaigns", None), ("/", None), ("/x", {"Authorization": "x"})):
        response, _ = await api.ask(target, headers=headers)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_until_the_keys_are_known_nobody_is_told_that_a_key_is_wrong(api: Api) -> None:
    api.keyring.is_known = False
    response, _ = await api.ask("/v1/tenants/t1/campaigns")
    assert (response.status, response.headers["Retry-After"]) == (503, "2")


async def test_pages_are_for_everybody_and_hold_no_number(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    bodies = {}
    for one in PAGES:
        for campaign in ("c1", "none"):
            target = one.path.format(campaign=campaign, file="main.js", version="v")
            response, bodies[campaign] = await api.ask(target, headers={"Authorization": ""})
            assert response.status == 200, target
        assert bodies["c1"] == bodies["none"]
