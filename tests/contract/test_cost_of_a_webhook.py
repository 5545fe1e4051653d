"""A webhook costs little more CPU than it would at a bare aiohttp app, signature and publishing included.

Both get their requests from the same loop in this process, without sockets and brokers, whose cost is the
same or depends on the machine. `make gateway-bench` measures the whole.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest
from aiohttp import web

from bench.bare_app import accept
from bench.gateway_sender import Requests
from tally.agents.clock import unix_ms
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.topics import Names
from tally.streams.gateway import process, results, webhooks
from tally.streams.gateway.apps import App
from tally.streams.gateway.fast_webhooks import FastWebhooks
from tally.streams.gateway.intake import Intake
from tally.streams.gateway.observer import Clocks, GatewayObserver, metrics_of
from tally.streams.gateway.publishing import Publishing
from tally.streams.gateway.queued import Record
from tally.streams.gateway.results import Results
from tally.streams.gateway.room import Room
from tally.streams.gateway.webhooks import Webhooks
from tally.streams.keys.keyring import Keyring
from tally.streams.runtime.metric_set import MetricSet
from tally.streams.web.admission import Admission
from tally.streams.web.journal import Journal, journal_metrics
from tally.streams.web.serving import WebServer
from tally.tables.rules import Rules

MOST_TIMES = 1 / 0.6
"""Its POSTs are at least those of the bare app less 40 %."""
REQUESTS, CONNECTIONS, TRIES = 1_500, 64, 5
ACK_SECONDS = 0.002
SIGNED_WITH = b"the-app-secret"
Protocols = Callable[[], asyncio.Protocol]


class Transport(asyncio.Transport):
    """A connection whose client sends the next request once it has an answer."""

    def __init__(self, protocol: asyncio.Protocol, ask: Callable[["Transport"], None]) -> None:
        super().__init__()
        self.protocol = protocol
        self._ask = ask

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert bytes(data[:15]) == b"HTTP/1.1 200 OK"
        self._ask(self)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        return


class Brokers:
    """Brokers that acknowledge whatever comes, a little later."""

    async def connect(self) -> "Brokers":
        return self

    async def send(self, _: str, __: int, records: Sequence[Record]) -> None:
        assert records
        await asyncio.sleep(ACK_SECONDS)

    async def close(self) -> None:
        return


@asynccontextmanager
async def gateway() -> AsyncIterator[Protocols]:
    app = App.model_validate({"name": "shop", "secrets": [SIGNED_WITH.decode()], "verify_token": "v" * 16})
    metrics = MetricSet((*metrics_of(["shop"], results.TOPICS), *journal_metrics(process.PATHS)))
    clocks, names = Clocks(unix_ms, time.monotonic), Names("", 1)
    observer = GatewayObserver(metrics, clocks, ["shop"])
    topics = [names.raw(topic) for topic in process.TOPICS]
    publishing = Publishing(topics, Brokers().connect, observer, lambda: 0.0)
    intake = Intake(publishing, Room(24 << 20, clocks.seconds), names, observer, clocks)
    journal = Journal(metrics, process.PATHS)
    made = process.gateway_app(
        Webhooks([app], intake, observer, clocks),
        Results(intake, observer, CONVENTIONS, Rules()),
        Admission(Keyring(), process.NEEDED, without_key=[webhooks.PATH]),
        journal,
    )
    server = WebServer(made, fast_path=FastWebhooks([app], intake, observer, journal, clocks).offer)
    running = asyncio.create_task(publishing.run())
    await server.prepare()
    try:
        yield server._connection
    finally:
        await server.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@asynccontextmanager
async def bare() -> AsyncIterator[Protocols]:
    app = web.Application()
    app.router.add_post(webhooks.PATH, accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    try:
        yield runner.server
    finally:
        await runner.cleanup()


async def cost_seconds(protocols: Protocols) -> float:
    """Return the CPU of this process for all requests."""
    loop = asyncio.get_running_loop()
    requests = Requests("127.0.0.1:6069", "/webhooks/shop", SIGNED_WITH, 0)
    bodies = [requests.next() for _ in range(REQUESTS)]
    asked, answered = iter(bodies), count(1 - CONNECTIONS)
    ended = loop.create_future()

    def ask(transport: Transport) -> None:
        if next(answered) == REQUESTS:
            ended.set_result(None)
        elif (request := next(asked, None)) is not None:
            loop.call_soon(transport.protocol.data_received, request)

    opened = [Transport(protocols(), ask) for _ in range(CONNECTIONS)]
    for one in opened:
        one.protocol.connection_made(one)
    began_s = time.process_time()
    for one in opened:
        ask(one)
    await ended
    took_s = time.process_time() - began_s
    for one in opened:
        one.protocol.connection_lost(None)
    return took_s


@pytest.mark.asyncio
async def test_a_webhook_costs_about_as_much_as_a_bare_request() -> None:
    async with gateway() as ours, bare() as theirs:
        costs: list[tuple[float, float]] = []
        for _ in range(TRIES):
            costs.append((await cost_seconds(ours), await cost_seconds(theirs)))
            times = min(one for one, _ in costs) / min(other for _, other in costs)
            if times <= MOST_TIMES:
                return
    assert times <= MOST_TIMES
