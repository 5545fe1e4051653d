"""Laws of usual webhooks: their short way answers as aiohttp's does, in order, and loses nothing."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from msgspec import Struct

from tally.agents.clock import unix_ms
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.topics import Names
from tally.streams.dev.free_port import free_port
from tally.streams.gateway import process, results, webhooks
from tally.streams.gateway.apps import App
from tally.streams.gateway.fast_webhooks import FastWebhooks
from tally.streams.gateway.intake import Intake
from tally.streams.gateway.observer import Clocks, GatewayObserver, metrics_of
from tally.streams.gateway.publishing import Publishing
from tally.streams.gateway.queued import Ending, Record
from tally.streams.gateway.results import Results
from tally.streams.gateway.room import Room, Share
from tally.streams.gateway.webhooks import Webhooks
from tally.streams.keys.keyring import Keyring
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.web.admission import Admission
from tally.streams.web.journal import Journal, journal_metrics
from tally.streams.web.serving import WebServer
from tally.tables.rules import Rules
from tests.support.gateway import SECRET, VERIFY, signature

pytestmark = pytest.mark.asyncio

SECONDS = 10.0
ROOM_BYTES = 200_000


class Held:
    """Takes the place of publishing: it holds what is published until the test ends it."""

    def __init__(self) -> None:
        self.ending: Ending | None = "safe"
        """How what comes ends at once; None holds it."""
        self.values: list[bytes] = []
        self.held: list[Callable[[Ending], None]] = []

    def begin(self, _: str, record: Record, __: float, ended: Callable[[Ending], None]) -> None:
        self.values.append(record.value)
        if self.ending is None:
            self.held.append(ended)
        else:
            asyncio.get_running_loop().call_soon(ended, self.ending)

    async def publish(self, topic: str, records: list[Record], within_seconds: float) -> Ending:
        future = asyncio.get_running_loop().create_future()
        self.begin(topic, records[0], within_seconds, future.set_result)
        return cast(Ending, await future)


class Door(Struct):
    """A running gateway."""

    server: WebServer
    port: int
    held: Held
    room: Room
    metrics: MetricSet
    taken: list[str]
    """Targets of the requests that were taken as usual ones."""

    def value(self, line: str) -> float:
        """Return a series as /metrics has it."""
        text = self.metrics.exposition("")[0].decode()
        return next(float(one.split()[-1]) for one in text.splitlines() if one.startswith(line + " "))


@asynccontextmanager
async def gateway() -> AsyncIterator[Door]:
    app = App.model_validate({"name": "shop", "secrets": [SECRET], "verify_token": VERIFY})
    metrics = MetricSet((*metrics_of(["shop"], results.TOPICS), *journal_metrics(process.PATHS)))
    clocks = Clocks(unix_ms, time.monotonic)
    observer = GatewayObserver(metrics, clocks, ["shop"])
    held, room, taken = Held(), Room(ROOM_BYTES, clocks.seconds), list[str]()
    intake = Intake(cast(Publishing, held), room, Names("", 1), observer, clocks)
    journal = Journal(metrics, process.PATHS)
    fast = FastWebhooks([app], intake, observer, journal, clocks)

    def offered(message, body, answer):  # type: ignore[no-untyped-def]
        is_taken = fast.offer(message, body, answer)
        taken.extend([message.path] if is_taken else [])
        return is_taken

    hooks = Webhooks([app], intake, observer, clocks)
    admission = Admission(Keyring(), process.NEEDED, without_key=[webhooks.PATH])
    posted = Results(intake, observer, CONVENTIONS, Rules())
    made = process.gateway_app(hooks, posted, admission, journal)
    server, port = WebServer(made, stop_seconds=SECONDS, fast_path=offered), free_port(0)
    await server.start("127.0.0.1", port)
    try:
        yield Door(server, port, held, room, metrics, taken)
    finally:
        await server.stop()


class Client:
    """A connection, by its bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> bytes:
        """Return the next answer."""
        async with asyncio.timeout(SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)\r\n", head)
            assert length, head
            return head + await self._reader.readexactly(int(length[1]))

    async def answer_to(self, request: bytes) -> bytes:
        """Send a request, and return its answer."""
        self.writer.write(request)
        return await self.answer()

    async def ended(self) -> bool:
        """Return whether the server closes, and says nothing more."""
        async with asyncio.timeout(SECONDS):
            return await self._reader.read() == b""


@asynccontextmanager
async def connected(door: Door) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def request(body: bytes, *more: str, signed: str = "", target: str = "/webhooks/shop") -> bytes:
    """Return a webhook as Meta posts it."""
    head = [f"POST {target} HTTP/1.1", "Host: x", "Content-Type: application/json"]
    head += [f"X-Hub-Signature-256: {signed or signature(body)}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *more, "", ""]).encode() + body


def status(answer: bytes) -> int:
    return int(answer[9:12])


def undated(answer: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]+", b"Date:", answer)


@pytest.mark.parametrize("wanted", [200, 401, 413, 503, "full"])
async def test_both_ways_answer_byte_for_byte_alike(wanted: int | str) -> None:
    endings: dict[int | str, Ending] = {413: "too_large", 503: "not_acknowledged"}
    async with gateway() as door, connected(door) as client:
        door.held.ending = endings.get(wanted, "safe")
        if wanted == "full":
            Share(door.room).grow_to(ROOM_BYTES)
        signed = "sha256=" + "0" * 64 if wanted == 401 else ""
        usual, other = [
            await client.answer_to(request(b"{}", "X-Request-Id: a-1", signed=signed, target=target))
            for target in ("/webhooks/shop", "/webhooks/shop?what=is-unusual")
        ]
        assert door.taken == ["/webhooks/shop"]
        assert status(usual) == (503 if wanted == "full" else wanted)
        assert undated(usual) == undated(other)
        assert len(door.held.values) == (0 if wanted in (401, "full") else 2)
        outcomes = ("accepted", "forged", "too_large", "unavailable", "full")
        series = [f'tally_gateway_webhooks_total{{app="shop",outcome="{name}"}}' for name in outcomes]
        counted = [door.value(one) for one in series]
        assert sorted(counted) == [0, 0, 0, 0, 2]
        assert door.value('tally_http_seconds_count{route="/webhooks/{app}"}') == 2
        assert door.room.used_bytes == (ROOM_BYTES if wanted == "full" else 0)


async def test_what_is_unusual_is_aiohttps() -> None:
    async with gateway() as door:
        usual = request(b"{}")
        chunked = usual.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
        for odd in (
            request(b"{}", "Connection: close"),
            request(b"{}", "Expect: what-there-is-not"),
            request(b"{}", "Content-Encoding: identity"),
            request(b"{}", target="/webhooks/shop?x=1"),
            request(b"{}", target="/webhooks/sh%6fp"),
            request(b"{}", target="http://x/webhooks/shop"),
            usual.replace(b"HTTP/1.1", b"HTTP/1.0"),
            usual.replace(b"application/json", b"application/json; charset=utf-8"),
            chunked.removesuffix(b"{}") + b"2\r\n{}\r\n0\r\n\r\n",
        ):
            async with connected(door) as client:
                assert status(await client.answer_to(odd)) == 200, odd
        async with connected(door) as client:
            client.writer.write(usual[:-2])
            await asyncio.sleep(0.05)
            assert status(await client.answer_to(usual[-2:])) == 200
        assert door.taken == []
        assert len(door.held.values) == 10


async def test_what_comes_behind_a_request_waits_for_its_answer_and_is_answered_in_order() -> None:
    async with gateway() as door, connected(door) as client:
        door.held.ending = None
        bodies = [b'{"n": %d}' % number for number in range(4)]
        ids = [f"id-{number}" for number in range(4)]
        asked = [request(body, f"X-Request-Id: {one}") for body, one in zip(bodies, ids, strict=True)]
        client.writer.write(asked[0])
        await published(door, 1)
        # A usual one, and two in one packet with the half of something else behind them.
        client.writer.write(asked[1])
        await asyncio.sleep(0.05)
        client.writer.write(asked[2] + asked[3] + b"GET /")
        await asyncio.sleep(0.05)
        assert door.held.values == bodies[:1]
        for number in range(4):
            await published(door, number + 1)
            door.held.held[number]("safe")
            assert f"X-Request-Id: {ids[number]}\r\n".encode() in await client.answer()
        client.writer.write(b"webhooks/shop HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(await client.answer()) == 403
        assert door.held.values == bodies


async def test_a_stop_waits_for_the_answer_under_way() -> None:
    async with gateway() as door, connected(door) as client:
        door.held.ending = None
        client.writer.write(request(b"{}"))
        await published(door, 1)
        stopping = asyncio.create_task(door.server.stop())
        await asyncio.sleep(0.1)
        assert not stopping.done()
        door.held.held[0]("safe")
        assert status(await client.answer()) == 200
        assert await client.ended()
        async with asyncio.timeout(SECONDS):
            await stopping


async def test_a_client_that_has_gone_is_forgotten_and_its_webhook_is_not() -> None:
    async with gateway() as door:
        door.held.ending = None
        async with connected(door) as client:
            client.writer.write(request(b"{}"))
            await published(door, 1)
            assert door.room.used_bytes == 2
        async with asyncio.timeout(SECONDS):
            while len(door.server.connections):
                await asyncio.sleep(0.01)
        door.held.held[0]("safe")
        assert door.value('tally_gateway_webhooks_total{app="shop",outcome="accepted"}') == 1
        assert door.room.used_bytes == 0


async def test_the_requests_of_a_client_that_does_not_read_its_answers_are_aiohttps() -> None:
    async with gateway() as door, connected(door) as client:
        assert status(await client.answer_to(request(b"1"))) == 200
        (connection,) = door.server.connections
        connection.pause_writing()  # as its transport does
        client.writer.write(request(b"2") + request(b"3"))
        assert status(await client.answer()) == 200
        # It waits until the answer is read before it begins with the next.
        await asyncio.sleep(0.05)
        assert (door.taken, door.held.values) == (["/webhooks/shop"], [b"1", b"2"])
        connection.resume_writing()
        assert status(await client.answer()) == 200


async def test_an_idle_connection_is_one_whose_answers_are_made() -> None:
    async with gateway() as door, connected(door) as client:
        for wanted in (200, 401):
            signed = "" if wanted == 200 else "none"
            client.writer.write(request(b"{}", signed=signed))
            assert status(await client.answer()) == wanted
            (connection,) = door.server.connections
            assert (connection.in_hand, connection.head_since_s) == (0, None)


async def published(door: Door, number: int) -> None:
    async with asyncio.timeout(SECONDS):
        while len(door.held.values) < number:
            await asyncio.sleep(0.005)
