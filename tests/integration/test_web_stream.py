"""Laws of the stream: what comes when, cuts, viewers that do not read, and the end of the server."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web
from msgspec import structs

from tally.agents.view.campaign import Campaign
from tally.agents.view.frames import Contents
from tally.agents.view.model import View
from tally.agents.view.queries import Queries
from tally.schemas.grains import RowKey
from tally.schemas.waiting import Caller, encode_since
from tally.streams.dev.free_port import free_port
from tally.streams.web.serving import WebServer
from tally.streams.web.viewers import BUFFER_BYTES, SLICE_BYTES, Viewers
from tally.streams.web.watched import Watched, contents_of
from tests.support.events import Event, proxy, stream
from tests.support.keys import KEY, PRESENTED
from tests.support.view_rows import NEWS, PROMO, put, put_operator, put_progress
from tests.support.web_api import Api, campaign_target, error_code, serving

ALL = "/v1/tenants/t1/stream?campaign=c1&campaigns=1&operators=1"
ONE = "/v1/tenants/t1/stream?campaign=c1"
FACTS_BEHIND = 10_000
STREAMS_OPEN = 200


def contacts(event: Event) -> int:
    """The number that a frame shows."""
    shown = event.body["campaign"]
    return 0 if shown is None else int(shown["totals"]["contacts"])


def count(api: Api, transaction: int, *, whole: bool = True) -> None:
    """Let a view read a transaction in which the contacts become its number; or all but its progress."""
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": transaction}, next_offset=transaction)
    if whole:
        put_progress(api.view, 0, transaction, seq=transaction)


@asynccontextmanager
async def showing(
    viewers: Viewers, watched: Watched, transports: list[asyncio.Transport]
) -> AsyncIterator[int]:
    """Serve viewers on a port at `/`, and note their transports."""

    async def show(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.force_close()
        writer = await response.prepare(request)
        assert writer is not None
        assert request.transport is not None
        transports.append(request.transport)
        await viewers.show(watched, None, writer, request.transport)
        return response

    app = web.Application()
    app.router.add_get("/", show)
    app.on_shutdown.append(viewers.stop)
    server = WebServer(app)
    port = free_port(0)
    await server.start("127.0.0.1", port)
    try:
        yield port
    finally:
        await server.stop()


@pytest.mark.asyncio
async def test_a_stream_begins_with_all_and_goes_on_with_what_changes(api: Api) -> None:
    api.catch_up()
    for name in ("c1", "c2"):
        put(api.view, RowKey("t1", name, PROMO), {"contacts": 1})
    put_operator(api.view, "t1", "PJSIP/1", {"connects": 1})
    async with stream(api.port, ALL) as viewer:
        first = await viewer.next()
        _, answer = await api.ask(campaign_target("t1", "c1"))
        _, listed = await api.ask("/v1/tenants/t1/campaigns")
        _, operators = await api.ask("/v1/tenants/t1/operators")
        shown = orjson.loads(answer)
        shown.pop("receipt")
        assert (first.event, first.body["campaign"]) == ("snapshot", shown)
        assert first.body["campaigns"] == orjson.loads(listed)["campaigns"]
        assert first.body["operators"] == orjson.loads(operators)["operators"]
        assert (first.body["campaigns_more"], first.body["operators_more"]) == (False, False)
        assert first.retry_ms is not None

        assert [(await viewer.next()).event for _ in range(2)] == ["receipt", "receipt"]
        put(api.view, RowKey("t1", "c2", PROMO), {"contacts": 5}, next_offset=2)
        put(api.view, RowKey("t1", "c3", NEWS), {"contacts": 1}, next_offset=2)
        changed = await viewer.until("change")
        assert {one["campaign"]: one["totals"]["contacts"] for one in changed.body["campaigns"]} == {
            "c2": 5,
            "c3": 1,
        }
        assert "campaign" not in changed.body
        assert changed.body["operators"] == changed.body["campaigns_gone"] == []
        api.view.apply(0, RowKey("t1", "c3", NEWS).encode(), None)
        assert (await viewer.until("change")).body["campaigns_gone"] == [["c3"]]


@pytest.mark.asyncio
async def test_each_event_of_a_campaign_says_where_it_stands(api: Api) -> None:
    api.catch_up()
    counts = {"contacts": 9, "queued": 2, "accepted": 6, "failed_at_send": 1}
    put(api.view, RowKey("t1", "c1", PROMO), counts)
    put(api.view, RowKey("t1", "c1", None), {"description.planned=20": 1})
    _, body = await api.ask(f"{campaign_target('t1', 'c1')}/progress")
    right = orjson.loads(body)
    assert (right["sent"], right["failed"], right["left"]) == (6, 1, 13)
    async with stream(api.port, ONE) as viewer:
        for event in ("snapshot", "receipt"):
            frame = await viewer.next()
            assert frame.event == event
            assert frame.body["progress"].keys() == right.keys() - {"tenant", "campaign", "receipt"}
            for name in ("name", "status", "planned", "sent", "failed", "done", "left", "elapsed_seconds"):
                assert frame.body["progress"][name] == right[name]
        assert frame.body["progress"]["per_second_10s"] == 0.0
    for query in ("campaigns=1", "campaign=c2"):
        async with stream(api.port, f"/v1/tenants/t1/stream?{query}") as viewer:
            assert "progress" not in (await viewer.next()).body


@pytest.mark.asyncio
async def test_queues_are_shown_with_who_waits_and_leave_the_clock_to_who_shows_them(api: Api) -> None:
    api.catch_up()
    put(api.view, RowKey("t1", "c1", PROMO), {"queues.sales/joins": 3, "queues.sales/connects": 2})
    put(api.view, RowKey("t1", "c2", PROMO), {"queue_waits.sales/5": 2, "queues.care/joins": 1})

    def wait(channel: str, since_ms: int | None) -> None:
        value = None if since_ms is None else encode_since(since_ms)
        api.view.apply(0, Caller("t1", "pbx01", "sales", channel).encode(), value)

    async def answered() -> list[Any]:
        _, body = await api.ask("/v1/tenants/t1/queues?threshold_seconds=20,30")
        queues = orjson.loads(body)["queues"]
        assert all("longest_wait_ms" in one for one in queues)
        return [{name: one[name] for name in one if name != "longest_wait_ms"} for one in queues]

    wait("a", api.now_ms - 9_000)
    target = "/v1/tenants/t1/stream?queues=1&threshold_seconds=20&threshold_seconds=30"
    async with stream(api.port, target) as viewer:
        first = await viewer.next()
        assert (first.event, first.body["queues"], first.body["queues_more"]) == (
            "snapshot",
            await answered(),
            False,
        )
        assert [one["queue"] for one in first.body["queues"]] == ["care", "sales"]
        api.now_ms += 5_000
        assert (await viewer.next()).event == "receipt", "a wait grows by the clock of who shows it"
        wait("b", api.now_ms)
        changed = await viewer.until("change")
        assert changed.body["queues"] == [one for one in await answered() if one["queue"] == "sales"]
        assert changed.body["queues"][0]["waiting"] == 2
        api.view.apply(0, RowKey("t1", "c2", PROMO).encode(), None)
        assert (await viewer.until("change")).body["queues_gone"] == [["care"]]


@pytest.mark.asyncio
async def test_who_asks_for_receipts_alone_gets_them_and_an_id(api: Api) -> None:
    api.catch_up()
    async with stream(api.port, "/v1/tenants/t1/stream?receipts=1") as viewer:
        first = await viewer.next()
        assert (first.event, list(first.body)) == ("snapshot", ["receipt"])
        assert first.id is not None
        put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
        assert (await viewer.next()).event == "receipt"


@pytest.mark.asyncio
async def test_no_proxy_and_no_cache_may_hold_a_frame_back(api: Api) -> None:
    async with stream(api.port, ONE) as viewer:
        assert viewer.status == 200
        for header in (
            "Content-Type: text/event-stream",
            "Cache-Control: no-store, no-transform",
            "X-Accel-Buffering: no",
        ):
            assert header.lower() in viewer.head.lower()


@pytest.mark.asyncio
@pytest.mark.alone
async def test_frames_come_once_a_second(api: Api) -> None:
    api.catch_up()
    async with stream(api.port, ONE) as viewer:
        await viewer.next()
        await viewer.next()
        begun_s = time.monotonic()
        for transaction in range(1, 4):
            count(api, transaction)
            assert contacts(await viewer.next()) == transaction
        assert 2.5 < time.monotonic() - begun_s < 4.5


@pytest.mark.asyncio
async def test_what_is_asked_for_is_said_and_nothing_else(api: Api) -> None:
    for query, says in (
        ("", b"campaigns=1"),
        ("?campaigns=0", b"campaigns must be 1"),
        ("?campaigns=1&campaigns=1", b"once"),
        ("?queue=1", b"unknown parameter"),
        ("?queues=1&threshold_seconds=0", b"threshold_seconds must be"),
        ("?operators=1&threshold_seconds=20", b"goes with queues=1"),
        ("?campaign=", b"campaign must be text of 1 to 128"),
    ):
        response, body = await api.ask(f"/v1/tenants/t1/stream{query}")
        assert (response.status, error_code(body)) == (400, "bad_parameter")
        assert says in body
    response, body = await api.ask(ONE, "HEAD")
    assert (response.status, body) == (200, b"")


@pytest.mark.asyncio
async def test_until_all_tables_are_open_there_are_receipts_alone(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    async with stream(api.port, ONE) as viewer:
        for _ in range(2):
            event = await viewer.next()
            assert (event.event, event.id, event.body["receipt"]["state"]) == ("receipt", None, "catching_up")
        api.catch_up()
        assert contacts(await viewer.until("snapshot")) == 1


@pytest.mark.asyncio
async def test_after_a_cut_another_process_that_is_behind_shows_nothing_older() -> None:
    """The proxy sends each reconnect to the other process, which is thousands of facts behind."""
    async with (
        serving(debug=False, partitions=1) as one,
        serving(debug=False, partitions=1) as other,
        proxy(one.port, other.port) as between,
    ):
        for api in (one, other):
            api.catch_up()
        last_id, newest = None, 0
        for here in (one, other) * 2:
            async with stream(between.port, ONE, last_id) as viewer:
                if last_id is not None:
                    for transaction in (newest - FACTS_BEHIND // 2, newest - 1):
                        event = await viewer.next()
                        assert (event.event, event.id) == ("receipt", None)
                        assert event.body["receipt"]["state"] == "catching_up"
                        count(here, transaction)
                    count(here, newest)
                assert contacts(await viewer.until("snapshot")) >= newest
                count(here, newest + FACTS_BEHIND)
                # A frame may show a transaction of which more is to come: the other one needs it whole.
                newest += FACTS_BEHIND + 1
                count(here, newest, whole=False)
                while contacts(event := await viewer.until("change")) < newest:
                    pass
                last_id = event.id
                between.cut()


@pytest.mark.asyncio
async def test_all_who_come_at_once_share_the_first_look_and_get_its_frame_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.catch_up()
    looks, all_are_here = 0, asyncio.Event()

    async def held_up(queries: Queries, watched: Watched) -> Contents:
        nonlocal looks
        looks += 1
        await all_are_here.wait()
        return await contents_of(queries, watched)

    monkeypatch.setattr("tally.streams.web.viewers.contents_of", held_up)
    watched = Watched("t1", "c1", campaigns=False, operators=False)
    viewers = Viewers(api.queries(), lambda: 0.5, tick_seconds=60.0)
    async with showing(viewers, watched, []) as port, AsyncExitStack() as viewing:
        opening = [viewing.enter_async_context(stream(port, "/")) for _ in range(20)]
        opened = asyncio.gather(*opening)
        while len(viewers) < len(opening):
            await asyncio.sleep(0.01)
        all_are_here.set()
        for expected in ("snapshot", "bye"):
            for viewer in await opened:
                assert (await viewer.next()).event == expected
            await viewers.stop()
    assert looks == 1


@pytest.mark.asyncio
async def test_who_reads_nothing_is_cut_off_holds_little_and_disturbs_nobody(api: Api) -> None:
    api.catch_up()
    for number in range(400):
        put(api.view, RowKey("t1", f"{number:0128}", PROMO), {"contacts": 1})
    viewers = Viewers(api.queries(), lambda: 0.5, send_seconds=2.0)
    watched = Watched("t1", campaigns=True)
    transports: list[asyncio.Transport] = []
    # A bare socket: a stream of asyncio takes what fits into its first read, though nobody asks for it.
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        async with showing(viewers, watched, transports) as port:
            await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", port))
            await asyncio.get_running_loop().sock_sendall(deaf, b"GET / HTTP/1.0\r\n\r\n")
            most = 0
            async with stream(port, "/") as viewer:
                snapshot = await viewer.next()
                assert len(orjson.dumps(snapshot.body)) > 4 * (BUFFER_BYTES + SLICE_BYTES), (
                    "it has to be too much"
                )
                for _ in range(3):
                    assert (await viewer.next()).event == "receipt"
                    most = max(most, *(transport.get_write_buffer_size() for transport in transports))
                assert 0 < most <= BUFFER_BYTES + SLICE_BYTES + 1024 < 64 << 10
                assert [transport.is_closing() for transport in transports] == [True, False]
                assert len(viewers) == 1


@pytest.mark.asyncio
async def test_beyond_the_most_streams_one_more_is_told_so_and_all_else_is_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.catch_up()
    monkeypatch.setattr(Viewers, "room", property(lambda self: max(0, 2 - len(self))))
    async with stream(api.port, ONE) as one, stream(api.port, ONE) as other:
        await one.next()
        await other.next()
        response, body = await api.ask(ONE)
        assert (response.status, error_code(body)) == (503, "too_many_streams")
        assert int(response.headers["Retry-After"]) > 0
        assert (await api.ask("/v1/tenants/t1/campaigns"))[0].status == 200
    async with asyncio.timeout(10):
        while (await api.ask(ONE, "HEAD"))[0].status != 200:
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_a_server_that_stops_says_goodbye_to_all_and_is_gone_in_seconds() -> None:
    async with AsyncExitStack() as viewing:
        async with serving(debug=False) as api:
            api.catch_up()
            viewers = [await viewing.enter_async_context(stream(api.port, ONE)) for _ in range(STREAMS_OPEN)]
            for viewer in viewers:
                await viewer.next()
            begun_s = time.monotonic()
        assert time.monotonic() - begun_s < 5
        retries = set()
        for viewer in viewers:
            last = await viewer.until("bye")
            assert last.body == {"reason": "stopping"}
            retries.add(last.retry_ms)
            with pytest.raises(EOFError):
                await viewer.next()
    assert len(retries) > STREAMS_OPEN / 3, "they would come back all at once"


@pytest.mark.asyncio
async def test_a_stream_that_fails_says_so_ends_and_lets_others_go_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.catch_up()

    def broken(_self: View, _tenant: str, campaign: str) -> Campaign | None:
        if campaign == "c1":
            raise RuntimeError("password=hunter2")
        return None

    async with stream(api.port, ONE) as viewer, stream(api.port, ONE.replace("c1", "c2")) as other:
        await viewer.next()
        await other.next()
        monkeypatch.setattr(View, "find", broken)
        assert (await viewer.until("bye")).body == {"reason": "failed"}
        for _ in range(2):
            assert (await other.next()).event == "receipt"
    monkeypatch.undo()
    async with stream(api.port, ONE) as viewer:
        assert (await viewer.next()).event == "snapshot"


@pytest.mark.asyncio
async def test_a_key_that_is_revoked_sees_no_further_frame(api: Api) -> None:
    api.catch_up()
    async with stream(api.port, ONE) as viewer:
        await viewer.next()
        api.keyring.put(PRESENTED.key_id, structs.replace(KEY, revoked_at_ms=1))
        count(api, 1)
        begun_s = time.monotonic()
        last = await viewer.next()
        assert (last.event, last.body) == ("bye", {"reason": "key_refused"})
        assert time.monotonic() - begun_s < 2
        with pytest.raises(EOFError):
            await viewer.next()
