"""Silent clients cannot block the web server: time-outs, a limit of connections, and their metrics."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.streams.dev.free_port import free_port
from tally.streams.runtime.descriptors import most_descriptors, raise_descriptors
from tally.streams.runtime.http import answers, http_app
from tally.streams.runtime.metric_set import Metric, MetricSet
from tally.streams.web import serving as serving_module
from tally.streams.web.bodies import coming
from tally.streams.web.complaints import MOST_A_MINUTE
from tally.streams.web.connections import HEAD_SECONDS, READ_SECONDS, Closed
from tally.streams.web.serving import CONNECTIONS, WebServer
from tests.support.view_rows import put
from tests.support.waiting import until
from tests.support.web_api import serving

pytestmark = pytest.mark.asyncio
SILENT = 2_000
DEADLINE_SECONDS = 30.0
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A web server by a clock that the test moves."""

    def __init__(self, app: web.Application) -> None:
        self.closed: list[Closed] = []
        self.server = WebServer(app, self.closed.append)
        self.later_s = 0.0
        now_s = self.server.connections.now_s
        self.server.connections.now_s = lambda: now_s() + self.later_s
        self.port = free_port(0)
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self, ask: bytes = b"") -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 10)
        self.writers.append(writer)
        writer.write(ask)
        await writer.drain()
        return reader, writer

    def pass_seconds(self, seconds: float) -> None:
        self.later_s += seconds
        self.server.connections.expire()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * (16 << 20))

    async def small(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application()
    app.router.add_get("/", small)
    app.router.add_get("/large", large)
    running = Server(app)
    await running.server.start("127.0.0.1", running.port)
    try:
        yield running
    finally:
        await running.server.stop()
        for writer in running.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def is_closed(streams: Streams) -> bool:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await streams[0].read() == b""
    except ConnectionResetError:
        return True


async def test_2000_silent_connections_keep_nobody_out() -> None:
    raise_descriptors()
    if most_descriptors() < 3 * SILENT:
        pytest.skip("this process may not have so many descriptors")
    async with asyncio.timeout(2 * DEADLINE_SECONDS), serving(debug=False) as api, AsyncExitStack() as opened:
        for _ in range(SILENT):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            opened.callback(writer.close)
        for _ in range(3):
            response, _ = await api.ask("/v1/tenants/t1/campaigns")
            assert response.status == 200
        body, _ = api.metrics.exposition("")
        samples = {
            (sample.name, sample.labels.get("reason")): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }
        assert samples["tally_web_connections", None] <= CONNECTIONS
        # On a busy machine the first are silent for so long that they end by their time before more come.
        closed = (
            samples["tally_web_connections_closed_total", reason] for reason in ("crowded", "no_request")
        )
        assert sum(closed) >= SILENT - CONNECTIONS


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_who_does_not_ask_in_time_is_closed(server: Server, begun: bytes) -> None:
    streams = await server.connect(begun)
    await until(lambda: len(server.server.connections) == 1)
    server.pass_seconds(HEAD_SECONDS - 1)
    assert server.closed == []
    server.pass_seconds(2)
    assert server.closed == ["no_request"]
    assert await is_closed(streams)


async def test_bytes_that_drip_do_not_begin_the_time_anew(server: Server) -> None:
    _, writer = await server.connect()
    for byte in b"GET / HTTP/1.1\r\nX: y":
        if server.closed:
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.005)
        server.pass_seconds(HEAD_SECONDS / 10)
    assert server.closed == ["no_request"]


async def test_bodies_that_do_not_come_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of connections that all ask, the one whose body has been coming for longest makes room."""
    monkeypatch.setattr(serving_module, "CONNECTIONS", 4)
    begun = 0

    async def read(request: web.Request) -> web.Response:
        nonlocal begun
        begun += 1
        with coming(request):
            return web.Response(body=await request.content.read())

    app = web.Application()
    app.router.add_post("/", read)
    running = Server(app)
    await running.server.start("127.0.0.1", running.port)
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
    try:
        slow = []
        for number in range(4):
            slow.append(await running.connect(post + b"h"))
            while begun <= number:
                await asyncio.sleep(0.002)
        reader, _ = await running.connect(post + b"here")
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert b" 200 " in await reader.readline()
        assert running.closed == ["crowded"]
        assert await is_closed(slow[0])
        slow[1][1].write(b"ere")
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert b" 200 " in await slow[1][0].readline()
    finally:
        await running.server.stop()
        for writer in running.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def test_a_connection_that_asks_now_and_then_stays(server: Server) -> None:
    reader, writer = await server.connect()
    for _ in range(5):
        writer.write(ASK)
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(4) == b"here"
        assert b"Server: tally\r\n" in head
        server.pass_seconds(HEAD_SECONDS * 2)
    assert server.closed == []
    writer.write(b"GET")
    await asyncio.sleep(0.05)
    server.pass_seconds(HEAD_SECONDS + 1)
    assert server.closed == ["no_request"]


async def test_who_does_not_read_an_answer_in_time_is_closed(server: Server) -> None:
    await server.connect(ASK.replace(b"/ ", b"/large ", 1))
    connection = server.server.connections
    await until(lambda: len(connection) == 1 and not any(one.in_hand for one in connection))
    await asyncio.sleep(0.1)
    server.pass_seconds(READ_SECONDS - 1)
    assert server.closed == []
    server.pass_seconds(2)
    assert server.closed == ["not_read"]


async def test_what_is_no_http_is_told_no_versions(server: Server) -> None:
    reader, _ = await server.connect(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
    async with asyncio.timeout(DEADLINE_SECONDS):
        answer = await reader.read()
    assert b" 400 Bad Request\r\n" in answer
    assert b"Server: tally\r\n" in answer
    assert b"aiohttp" not in answer
    assert b"bad header" not in answer, "what came is not repeated"


@pytest.mark.parametrize("version", ["zz", "1.0.0", "", "9" * 50, "1.0.0;escaping=zz"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
async def test_metrics_are_answered_whatever_is_accepted(version: str, kind: str) -> None:
    metrics = MetricSet([Metric("seen", "gauge", "what was seen")])
    async with TestClient(TestServer(http_app(metrics, {"live": answers}))) as client:
        response = await client.get("/metrics", headers={"Accept": f"{kind};version={version}"})
        assert response.status == 200
        assert "seen 0.0" in await response.text()
        assert (await client.get("/health/live")).status == 200
        assert (await client.get("/health/ready")).status == 404
        assert (await client.get("/v1/tenants/t1/campaigns")).status == 404


async def test_an_answer_of_many_templates_is_whole() -> None:
    async with serving(debug=False) as api:
        for n in range(TEMPLATES_SHOWN.most + 1):
            put(api.view, RowKey("t1", "c1", Template(f"t{n}")), {"contacts": 1})
        response, body = await api.ask("/v1/tenants/t1/campaigns/c1")
    assert response.status == 200
    answer = orjson.loads(body)
    assert len({one["template"]["name"] for one in answer["templates"]}) == TEMPLATES_SHOWN.most
    assert answer["templates_more"]["templates"] == 1


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/9.9", b"GET /\x00 x y z", b"GET / HTTP/1.1\r\n+31612345678"]
)
async def test_malformed_requests_leave_few_lines_and_nothing_of_what_they_said(
    server: Server, caplog: pytest.LogCaptureFixture, request_line: bytes
) -> None:
    for _ in range(3 * MOST_A_MINUTE):
        reader, _ = await server.connect(request_line + b"\r\n\r\n")
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert b"400" in await reader.readline()
    records = [record for record in caplog.records if record.name.startswith("tally.streams.web.complaints")]
    assert len(records) == MOST_A_MINUTE
    for record in records:
        assert (record.levelname, record.exc_info) == ("WARNING", None)
        assert re.fullmatch(r"a malformed request: \w+", record.getMessage())
    reader, _ = await server.connect(ASK)
    assert b"200" in await reader.readline()
