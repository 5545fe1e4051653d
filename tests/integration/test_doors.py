"""Default deny at the gateway and at the ports of metrics: every address, by every method."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tally import streams
from tally.agents.clock import unix_ms
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.topics import Names
from tally.streams.dev.free_port import free_port
from tally.streams.gateway import process, results, webhooks
from tally.streams.gateway.apps import App
from tally.streams.gateway.intake import Intake
from tally.streams.gateway.observer import Clocks, GatewayObserver, metrics_of
from tally.streams.gateway.publishing import Publishing
from tally.streams.gateway.results import Results
from tally.streams.gateway.room import Room
from tally.streams.gateway.webhooks import Webhooks
from tally.streams.keys.key import Key, Presented, Scope, digest_of
from tally.streams.keys.keyring import Keyring
from tally.streams.keys.managing import new_key
from tally.streams.keys.sessions import LEAST_SECRET, Sessions
from tally.streams.processes.site import PATHS, Site, site_app, unavailable_app
from tally.streams.runtime.http import answers, http_app
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.web.admission import Admission
from tally.streams.web.cookies import COOKIE
from tally.streams.web.journal import Journal, journal_metrics
from tally.streams.web.serving import WebServer
from tally.tables.rules import Rules
from tests.support.timing import difference

pytestmark = pytest.mark.asyncio

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
BODY = b'[{"tenant": "t1"}]'
JSON = {"Content-Type": "application/json"}
NOWHERE = (
    "/",
    "/v1",
    "/v1/tenants/t1",
    "/metrics",
    "/health/live",
    "/static/x",
    "/webhooks",
)
FOREIGN = (
    ({"Host": "evil.example"}, 421),
    ({"Host": "[::1"}, 421),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "http://["}, 403),
    ({"Origin": "null"}, 403),
)


SERVERS = {
    "ami/process.py": ["http_app"],
    "audit/process.py": ["http_app"],
    "gateway/process.py": ["gateway_app", "http_app"],
    "processes/parent.py": ["site_app", "unavailable_app"],
    "web/app.py": ["read API: test_admission.py"],
    "worker/process.py": ["http_app"],
}
"""What each server of each process serves; all of it is walked here but the read API."""


async def test_there_is_no_other_server() -> None:
    root = Path(streams.__file__).parent
    made = {
        str(path.relative_to(root)): len(re.findall(r"\bWebServer\(", path.read_text()))
        for path in sorted(root.rglob("*.py"))
    }
    found = {path: number for path, number in made.items() if number and path != "web/serving.py"}
    assert found == {path: len(served) for path, served in SERVERS.items()}, "a new server needs a walk here"
    for path, served in SERVERS.items():
        source = (root / path).read_text()
        assert path == "web/app.py" or all(f"{name}(" in source for name in served), path
    others = [
        path
        for path in sorted(root.rglob("*.py"))
        if re.search(r"\bstart_server\(|TCPSite\(", path.read_text())
    ]
    assert [str(path.relative_to(root)) for path in others] == ["web/app.py"], "Faust's own, which is ours"


class Nowhere:
    """Takes the place of publishing, and takes nothing."""

    async def publish(self, topic: str, *_: object) -> None:
        raise AssertionError(f"something was published to {topic}")


class Door:
    """A server of one application."""

    def __init__(self, app: web.Application, http: aiohttp.ClientSession) -> None:
        self.app = app
        self._http = http
        self.port = free_port(0)

    async def ask(
        self, path: str, method: str, headers: dict[str, str]
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        url = URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)
        data = BODY if method in ("POST", "PUT", "PATCH") else None
        async with self._http.request(method, url, data=data, headers=JSON | headers) as response:
            return response, await response.read()


@asynccontextmanager
async def opened(app: web.Application) -> AsyncIterator[Door]:
    server = WebServer(app)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        door = Door(app, http)
        await server.start("127.0.0.1", door.port)
        try:
            yield door
        finally:
            await server.stop()


@asynccontextmanager
async def gateway(keyring: Keyring) -> AsyncIterator[Door]:
    """Open a gateway that can publish nothing."""
    given = {"name": "shop", "secrets": ["s"], "verify_token": "v" * 16}
    apps = [App.model_validate(given)]
    metrics = MetricSet((*metrics_of(["shop"], results.TOPICS), *journal_metrics(process.PATHS)))
    clocks = Clocks(unix_ms, time.monotonic)
    observer = GatewayObserver(metrics, clocks, ["shop"])
    intake = Intake(
        cast(Publishing, Nowhere()), Room(8 << 20, clocks.seconds), Names("", 1), observer, clocks
    )
    posted = Results(intake, observer, CONVENTIONS, Rules())
    posted.read_by(CONVENTIONS.numbers)
    admission = Admission(keyring, process.NEEDED, without_key=[webhooks.PATH])
    app = process.gateway_app(
        Webhooks(apps, intake, observer, clocks), posted, admission, Journal(metrics, process.PATHS)
    )
    async with opened(app) as door:
        yield door


def granted(keyring: Keyring, *tenants: str, scopes: tuple[Scope, ...] = ("ingest",)) -> dict[str, str]:
    made = new_key()
    keyring.put(made.key_id, Key(digest_of(made.secret), scopes, tenants, 0))
    return shown(made)


def shown(presented: Presented) -> dict[str, str]:
    return {"Authorization": f"Bearer {presented.text}"}


def addresses(made: web.Application, **parts: str) -> list[str]:
    """Return every address that the router has, whoever added it."""
    return [resource.canonical.format(**parts) for resource in made.router.resources()]


@pytest.fixture
def keyring() -> Keyring:
    made = Keyring()
    made.known()
    return made


async def test_the_gateway_lets_nobody_in_without_a_key_except_to_webhooks(keyring: Keyring) -> None:
    unknown, known = shown(new_key()), new_key()
    keyring.put(known.key_id, Key(digest_of(known.secret), ("ingest", "read"), ("t1",), 0))
    cookie = {"Cookie": f"{COOKIE}={Sessions(['s' * LEAST_SECRET]).token(known.key_id, unix_ms())}"}
    async with gateway(keyring) as door:
        there = {resource.canonical for resource in door.app.router.resources()}
        assert there == set(process.PATHS), "a new address needs a rule of its own"
        asked = addresses(door.app, tenant="t1", app="nobody") + list(NOWHERE)
        said = set()
        for path in (*asked, "/v1/tenants/nobody/send-results"):
            for method in METHODS:
                for headers in ({}, unknown, {"Authorization": "Basic x"}, cookie):
                    response, body = await door.ask(path, method, headers)
                    if path == "/webhooks/nobody":
                        assert response.status == (404 if method in ("GET", "POST") else 405)
                        continue
                    assert response.status == 401, (method, path, headers)
                    said.add(body)
        assert len(said - {b""}) == 1, "the answer teaches nothing"


async def test_at_the_gateway_another_tenant_is_as_one_that_does_not_exist(keyring: Keyring) -> None:
    headers = granted(keyring, "t2") | {"X-Request-Id": "of-both"}
    granted(keyring, "t1")
    async with gateway(keyring) as door:
        there, nowhere = (addresses(door.app, tenant=tenant, app="x") for tenant in ("t1", "nobody"))
        for one, other in zip(there, nowhere, strict=True):
            for method in METHODS:
                (found, body), (missing, same) = [
                    await door.ask(path, method, headers) for path in (one, other)
                ]
                assert (found.status, body) == (missing.status, same), (method, one)
                assert found.status in (404, 405) or one == "/openapi.json"
                dated = {"Date": ""}
                assert dict(found.headers) | dated == dict(missing.headers) | dated


async def test_at_the_gateway_the_time_does_not_tell_whether_a_tenant_exists(keyring: Keyring) -> None:
    headers = granted(keyring, "t2")
    granted(keyring, "t1")
    async with gateway(keyring) as door:

        async def ask(tenant: str) -> None:
            response, _ = await door.ask(f"/v1/tenants/{tenant}/send-results", "POST", headers)
            assert response.status == 404

        assert await difference(lambda: ask("t1"), lambda: ask("nobody")) < 0.2


async def test_at_the_gateway_pages_of_others_are_refused_whatever_their_key(keyring: Keyring) -> None:
    ours = granted(keyring, "t1")
    async with gateway(keyring) as door:
        for path in addresses(door.app, tenant="t1", app="shop"):
            for method in METHODS:
                for headers, status in FOREIGN:
                    response, _ = await door.ask(path, method, ours | headers)
                    # Meta's webhooks have a proof of their own, and proxies pass them on under any name.
                    assert response.status == status or path == "/webhooks/shop", (method, path, headers)
                    assert response.status != 200, (method, path, headers)
                    assert "Access-Control-Allow-Origin" not in response.headers


async def test_long_answers_of_the_gateway_are_compressed_for_who_takes_it(keyring: Keyring) -> None:
    ours = granted(keyring, "t1")
    async with gateway(keyring) as door:
        plain, body = await door.ask("/openapi.json", "GET", ours | {"Accept-Encoding": "identity"})
        packed, same = await door.ask("/openapi.json", "GET", ours | {"Accept-Encoding": "gzip"})
        assert (plain.status, packed.status) == (200, 200)
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert same == body, "aiohttp unpacks it"
        assert plain.headers["ETag"] == packed.headers["ETag"]
        refused, _ = await door.ask("/v1/tenants/t1/send-results", "POST", ours)
        assert refused.status == 422
        for answer in (plain, packed, refused):
            assert answer.headers["Vary"] == "Accept-Encoding, Authorization, Cookie"


def own_app() -> web.Application:
    return http_app(MetricSet([]), {"live": answers, "ready": answers}, ["metrics.example"])


def parents_app() -> web.Application:
    return site_app(Site([], lambda: False, time.monotonic), ["metrics.example"])


Made = Callable[[], web.Application]
METRICS = pytest.mark.parametrize("made", [own_app, parents_app], ids=["one process", "several"])


@METRICS
async def test_the_port_of_metrics_has_nothing_else_and_no_page_of_others_reads_it(made: Made) -> None:
    async with opened(made()) as door:
        for path in (*PATHS, *NOWHERE, "/health/", "/health/x", "/v1/tenants/t1/campaigns", "/webhooks/shop"):
            is_there = path in PATHS
            for method in METHODS:
                response, body = await door.ask(path, method, {})
                is_read = is_there and method in ("GET", "HEAD")
                assert (response.status == 200) == is_read, (method, path)
                assert is_read or response.status in (404, 405), (method, path)
                assert b"t1" not in body
                for headers, status in FOREIGN:
                    response, _ = await door.ask(path, method, headers)
                    assert response.status == status, (method, path, headers)
        for host in ("localhost", "METRICS.example:1", "[::1]:80", f"127.0.0.1:{door.port}"):
            response, _ = await door.ask("/metrics", "GET", {"Host": host})
            assert response.status == 200, host


async def test_a_parent_whose_processes_are_away_says_so_to_everybody_and_nothing_else() -> None:
    async with opened(unavailable_app()) as door:
        said = set()
        for path in (*PATHS, *NOWHERE, "/v1/tenants/t1/campaigns", "/v1/tenants/nobody/campaigns"):
            for method in METHODS:
                response, body = await door.ask(path, method, {})
                assert response.status == 503, (method, path)
                said.add(body)
        assert len(said - {b""}) == 1


@METRICS
async def test_a_load_balancer_that_names_no_host_learns_of_health(made: Made) -> None:
    async with opened(made()) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"GET /health/live HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(10):
            assert b" 200 OK\r\n" in await reader.read()
        writer.close()
        await writer.wait_closed()
