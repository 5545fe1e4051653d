"""The read API over HTTP, on a Faust app's own web server."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import faust
import orjson
import pytest
import pytest_asyncio
from yarl import URL

from tally.agents.lag.tracker import LagTracker, Moment
from tally.agents.view.campaign import Campaign
from tally.agents.view.model import View
from tally.agents.view.reader import Reader
from tally.schemas.keys import RowKey
from tally.streams.health import Verdict
from tally.streams.metrics import Metrics
from tally.streams.web.routes import register
from tally.streams.web.site import Site
from tests.support.view_rows import NEWS, PROMO, put, put_operator, put_progress

UUID = "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"
ODD_IDS = [
    "a/b",
    "%2F",
    "a%2Fb",
    "%",
    "%25",
    "%FF",
    "ü",
    "日本",
    "a b",
    "a+b",
    "{x}",
    "a,b",
    "?q",
    "#h",
    ";x",
]
ODD_IDS += ['"', "\\", "a&b=c", "*", "//", "x" * 128, ":", "~", "..."]


class Api:
    """A running web server over a view that the test fills by hand."""

    def __init__(self, port: int, http: aiohttp.ClientSession) -> None:
        self.view = View(2)
        self.lag = LagTracker()
        self.live, self.ready = Verdict(), Verdict(("lag: not known yet",))
        self.metrics = Metrics("0.0.0")
        self.now_ms = 1_795_350_900_000
        self._base = f"http://127.0.0.1:{port}"
        self._http = http

    def catch_up(self) -> None:
        """All partitions are read, and everything up to now is counted."""
        for partition in range(2):
            self.view.set_ready(partition)
            put_progress(self.view, partition, 10 + partition)
        self.lag.take_ends(Moment(time.monotonic(), time.time_ns() // 1_000_000), {})
        self.lag.take_committed({})
        self.lag.take_facts_ends({})

    def site(self) -> Site:
        return Site(self.metrics, lambda: self.live, lambda: self.ready)

    def reader(self) -> Reader:
        return Reader(self.view, self.lag, 3, time.monotonic, 60, lambda: self.now_ms)

    async def ask(
        self, target: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        url = URL(self._base + target, encoded=True)
        async with self._http.request(method, url, headers=headers) as response:
            return response, await response.read()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest_asyncio.fixture(params=[False, True], ids=["production", "debug"])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    port = free_port()
    app = faust.App(
        "tally-web-test",
        broker="kafka://127.0.0.1:1",
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=port,
        debug=request.param,
    )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        running = Api(port, http)
        register(app, running.site(), running.reader())
        await app.web.start()
        try:
            yield running
        finally:
            await app.web.stop()


def campaign_target(tenant: str, campaign: str) -> str:
    return f"/v1/tenants/{quote(tenant, safe='')}/campaigns/{quote(campaign, safe='')}"


def error_code(body: bytes) -> str:
    error = orjson.loads(body)["error"]
    assert set(error) == {"code", "message"}
    assert error["message"]
    return str(error["code"])


@pytest.mark.asyncio
async def test_a_campaign_is_answered_with_totals_templates_and_a_receipt(api: Api) -> None:
    for partition in range(2):
        put(api.view, RowKey("t1", UUID, PROMO), {"accepted": 3, "delivered": 2}, partition)
    put(api.view, RowKey("t1", UUID, NEWS), {"accepted": 1}, labels=("id-1",))
    put(api.view, RowKey("t1", UUID, None), {"contacts_accepted": 4})
    api.catch_up()
    response, body = await api.ask(campaign_target("t1", UUID.upper()))
    answer = orjson.loads(body)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-cache"
    assert list(answer) == ["tenant", "campaign", "channel", "totals", "rates", "templates", "receipt"]
    assert (answer["tenant"], answer["campaign"], answer["channel"]) == ("t1", UUID, "whatsapp")
    assert (answer["totals"]["accepted"], answer["totals"]["contacts_accepted"]) == (7, 4)
    assert [t["template"]["ids"] for t in answer["templates"]] == [["id-1"], []]
    receipt = answer["receipt"]
    assert receipt["state"] == "live"
    assert receipt["generation"] == 3
    assert receipt["partitions"] == {"ready": 2, "of": 2}
    assert receipt["progress"] == {"0": 10, "1": 11}
    assert receipt["lag_ms"] < 60_000


@pytest.mark.asyncio
async def test_before_it_has_caught_up_the_answer_says_so(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"accepted": 3})
    response, body = await api.ask(campaign_target("t1", "c1"))
    assert response.status == 200
    assert orjson.loads(body)["receipt"]["state"] == "catching_up"


@pytest.mark.asyncio
async def test_an_unknown_campaign_is_404_with_a_receipt(api: Api) -> None:
    put(api.view, RowKey("t1", "zeros", PROMO), {})
    for tenant, campaign in (("t1", "c1"), ("t1", "zeros"), ("t2", "c1")):
        response, body = await api.ask(campaign_target(tenant, campaign))
        assert response.status == 404
        assert error_code(body) == "unknown_campaign"
        assert orjson.loads(body)["receipt"]["state"] == "catching_up"


@pytest.mark.asyncio
@pytest.mark.parametrize("odd", ODD_IDS)
async def test_ids_are_decoded_once_and_meet_no_other(api: Api, odd: str) -> None:
    for index, campaign in enumerate(ODD_IDS):
        put(api.view, RowKey(odd, campaign, PROMO), {"contacts": index + 1})
    for index, campaign in enumerate(ODD_IDS):
        response, body = await api.ask(campaign_target(odd, campaign))
        assert response.status == 200
        answer = orjson.loads(body)
        assert (answer["tenant"], answer["campaign"]) == (odd, campaign)
        assert answer["totals"]["contacts"] == index + 1


@pytest.mark.asyncio
async def test_an_unchanged_answer_is_304_until_the_rows_change(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"accepted": 3})
    target = campaign_target("t1", "c1")
    response, _ = await api.ask(target)
    tag = response.headers["ETag"]
    strong = tag.removeprefix("W/")
    for known in (tag, strong, f'"x", {tag}', f'W/"x",{strong} , "y"', "*"):
        response, body = await api.ask(target, headers={"If-None-Match": known})
        assert (response.status, body) == (304, b"")
        assert response.headers["ETag"] == tag
        assert response.headers["Cache-Control"] == "no-cache"
    for other in ('"x"', 'W/"x"', strong.strip('"'), ""):
        response, _ = await api.ask(target, headers={"If-None-Match": other})
        assert response.status == 200
    put(api.view, RowKey("t1", "c1", PROMO), {"accepted": 4}, next_offset=2)
    response, body = await api.ask(target, headers={"If-None-Match": tag})
    assert response.status == 200
    assert orjson.loads(body)["totals"]["accepted"] == 4
    api.catch_up()
    later, _ = await api.ask(target, headers={"If-None-Match": response.headers["ETag"]})
    assert later.status == 200


@pytest.mark.asyncio
async def test_a_list_is_paged_by_its_cursor_newest_activity_first(api: Api) -> None:
    for number in range(7):
        key = RowKey("t1", f"c{number}", PROMO)
        put(api.view, key, {"contacts": 1}, span=(500, 1000 + number))
    target, names = "/v1/tenants/t1/campaigns?limit=3", []
    cursor: str | None = ""
    while cursor is not None:
        response, body = await api.ask(target + (f"&cursor={cursor}" if cursor else ""))
        page = orjson.loads(body)
        assert response.status == 200
        assert list(page) == ["tenant", "campaigns", "next_cursor", "receipt"]
        names += [entry["campaign"] for entry in page["campaigns"]]
        cursor = page["next_cursor"]
    assert names == [f"c{number}" for number in reversed(range(7))]
    entry = page["campaigns"][0]
    assert list(entry) == ["campaign", "channel", "totals", "rates", "first_activity", "last_activity"]
    assert entry["first_activity"] == "1970-01-01T00:00:00.500Z"
    assert entry["last_activity"] == "1970-01-01T00:00:01.000Z"


@pytest.mark.asyncio
async def test_a_list_may_be_narrowed_by_time_and_by_ids(api: Api) -> None:
    for number in range(5):
        put(api.view, RowKey("t1", f"c{number}", PROMO), {"contacts": 1}, span=(0, 1000 + number))
    for query, expected in {
        "since=1003": ["c4", "c3"],
        "since=1970-01-01T00:00:01.003Z": ["c4", "c3"],
        "id=c1&id=c3": ["c3", "c1"],
        "id=c1,c0,unknown": ["c1", "c0"],
        "id=c1%2Cc3&since=1002": ["c3"],
    }.items():
        _, body = await api.ask(f"/v1/tenants/t1/campaigns?{query}")
        assert [entry["campaign"] for entry in orjson.loads(body)["campaigns"]] == expected
    _, body = await api.ask("/v1/tenants/nobody/campaigns")
    assert orjson.loads(body)["campaigns"] == []


@pytest.mark.asyncio
async def test_a_list_is_304_until_one_of_its_campaigns_changes(api: Api) -> None:
    for name in ("c1", "c2"):
        put(api.view, RowKey("t1", name, PROMO), {"contacts": 1})
    target = "/v1/tenants/t1/campaigns"
    response, _ = await api.ask(target)
    known = {"If-None-Match": response.headers["ETag"]}
    assert (await api.ask(target, headers=known))[0].status == 304
    assert (await api.ask(f"{target}?limit=1", headers=known))[0].status == 200
    put(api.view, RowKey("t1", "c2", PROMO), {"contacts": 2}, next_offset=2)
    assert (await api.ask(target, headers=known))[0].status == 200


@pytest.mark.asyncio
async def test_a_long_list_leaves_the_loop_to_others_while_it_is_made(api: Api) -> None:
    for number in range(100):
        put(api.view, RowKey("t1", f"c{number}", PROMO), {"contacts": 1})
    turns = 0
    asked = asyncio.create_task(api.ask("/v1/tenants/t1/campaigns?limit=100"))
    while not asked.done():
        turns += 1
        await asyncio.sleep(0)
    _, body = await asked
    assert len(orjson.loads(body)["campaigns"]) == 100
    assert turns > 40


OPERATORS = "/v1/tenants/t1/operators"


def available(queue: str, **more: int) -> dict[str, int]:
    numbers = {"status": 1, "since_ms": 1_795_350_870_000, **more}
    return {f"memberships.{queue}/{name}": number for name, number in numbers.items()}


@pytest.mark.asyncio
async def test_operators_are_answered_with_states_counts_and_a_receipt(api: Api) -> None:
    put_operator(api.view, "t1", "PJSIP/202", {"connects": 1, "talk_s": 30}, 1)
    put_operator(api.view, "t1", "PJSIP/201", {"memberships.name=Ann": 1, **available("sales")})
    put_operator(api.view, "", "PJSIP/202", {"memberships.name=Bob": 1, **available("sales", status=6)})
    put_operator(api.view, "t2", "PJSIP/203", {"connects": 1})
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    api.catch_up()
    response, body = await api.ask(OPERATORS)
    answer = orjson.loads(body)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-cache"
    assert list(answer) == ["tenant", "operators", "receipt"]
    assert (answer["tenant"], answer["receipt"]["state"]) == ("t1", "live")
    ann, bob = answer["operators"]
    since = "2026-11-22T12:34:30.000Z"
    assert ann == {
        **{"pbx": "pbx01", "operator": "PJSIP/201", "name": "Ann"},
        **{"state": "available", "reason": None, "since": since},
        "queues": [
            {"queue": "sales", "state": "available", "paused": False, "reason": None, "since": since},
        ],
        "counts": {"connects": 0, "ring_no_answer": 0, "talk_s": 0},
    }
    assert (bob["operator"], bob["name"], bob["state"]) == ("PJSIP/202", "Bob", "ringing")
    assert bob["counts"] == {"connects": 1, "ring_no_answer": 0, "talk_s": 30}
    _, body = await api.ask("/v1/tenants/nobody/operators")
    assert orjson.loads(body)["operators"] == []


@pytest.mark.asyncio
async def test_operators_are_304_until_a_row_changes_or_a_wrap_up_ends_by_the_clock(api: Api) -> None:
    after_call = available("sales", last_call_s=api.now_ms // 1000, wrapup_s=20)
    put_operator(api.view, "t1", "PJSIP/201", after_call)
    tags: list[str] = []
    states: list[str] = []

    async def changed() -> bool:
        known = {"If-None-Match": tags[-1]} if tags else {}
        response, body = await api.ask(OPERATORS, headers=known)
        if response.status == 200:
            tags.append(response.headers["ETag"])
            states.append(orjson.loads(body)["operators"][0]["state"])
        return response.status == 200

    assert await changed()
    api.now_ms += 19_999
    assert not await changed()
    api.now_ms += 1
    assert await changed()
    api.now_ms += 60_000
    assert not await changed()
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    assert not await changed()
    put_operator(api.view, "t1", "PJSIP/201", {**after_call, "connects": 1}, next_offset=2)
    assert await changed()
    api.catch_up()
    assert await changed()
    assert states == ["wrap_up", "available", "available", "available"]
    assert len(set(tags)) == 4


@pytest.mark.asyncio
async def test_operators_may_be_chosen_by_pbx_and_state(api: Api) -> None:
    for pbx, interface, status in (("a", "1", 1), ("a/b", "2", 2), ("a", "3", 6)):
        put_operator(api.view, "t1", interface, available("q", status=status), pbx=pbx)
    for query, expected in {
        "": ["1", "3", "2"],
        "?pbx=a": ["1", "3"],
        "?pbx=a%2Fb": ["2"],
        "?state=in_call&state=ringing": ["3", "2"],
        "?state=in_call&pbx=a": [],
    }.items():
        _, body = await api.ask(OPERATORS + query)
        assert [operator["operator"] for operator in orjson.loads(body)["operators"]] == expected
    response, body = await api.ask(f"{OPERATORS}?state=lunch")
    assert (response.status, error_code(body)) == (400, "bad_parameter")


@pytest.mark.asyncio
async def test_no_operators_row_is_answered_as_a_campaign(api: Api) -> None:
    put_operator(api.view, "t1", "PJSIP/201", {"connects": 1})
    _, body = await api.ask("/v1/tenants/t1/campaigns")
    assert orjson.loads(body)["campaigns"] == []
    for target in ("/v1/tenants/t1/campaigns/", "/v1/tenants//operators"):
        response, body = await api.ask(target)
        assert (response.status, error_code(body)) == (404, "not_found")


@pytest.mark.asyncio
@pytest.mark.parametrize("odd", ODD_IDS)
async def test_a_tenant_of_operators_is_decoded_once_and_meets_no_other(api: Api, odd: str) -> None:
    for number, tenant in enumerate(ODD_IDS):
        put_operator(api.view, tenant, f"PJSIP/{number}", {"connects": 1}, pbx=tenant)
    _, body = await api.ask(f"/v1/tenants/{quote(odd, safe='')}/operators")
    answer = orjson.loads(body)
    assert answer["tenant"] == odd
    assert [operator["pbx"] for operator in answer["operators"]] == [odd]


@pytest.mark.asyncio
@pytest.mark.parametrize("query", ["limit=0", "limit=x", "since=soon", "cursor=x", "id=", "limit=1&limit=1"])
async def test_a_malformed_parameter_is_400(api: Api, query: str) -> None:
    response, body = await api.ask(f"/v1/tenants/t1/campaigns?{query}")
    assert response.status == 400
    assert error_code(body) == "bad_parameter"


@pytest.mark.asyncio
async def test_every_error_has_the_same_shape(api: Api) -> None:
    for target, method, status, code in (
        ("/v1/tenants/t1/campaigns/%FF", "GET", 400, "bad_parameter"),
        ("/v1/tenants/t%00/campaigns", "GET", 400, "bad_parameter"),
        (f"/v1/tenants/{'x' * 129}/campaigns", "GET", 400, "bad_parameter"),
        ("/v1/nothing", "GET", 404, "not_found"),
        (f"/v1/tenants/{'x' * 129}/operators", "GET", 400, "bad_parameter"),
        ("/v1/tenants/t1/campaigns", "POST", 405, "method_not_allowed"),
        ("/v1/tenants/t1/operators", "POST", 405, "method_not_allowed"),
        ("/v1/tenants/t1/campaigns/c1", "DELETE", 405, "method_not_allowed"),
    ):
        response, body = await api.ask(target, method)
        assert (response.status, error_code(body)) == (status, code)
        assert response.headers["Content-Type"] == "application/json"
        if status == 405:
            assert response.headers["Allow"] == "GET,HEAD"


@pytest.mark.asyncio
async def test_our_own_fault_is_500_and_tells_nothing_of_itself(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: View, _tenant: str, _campaign: str) -> Campaign | None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(View, "find", broken)
    response, body = await api.ask(campaign_target("t1", "c1"))
    assert response.status == 500
    assert error_code(body) == "internal"
    assert b"hunter2" not in body


@pytest.mark.asyncio
async def test_head_has_the_headers_of_get_and_no_body(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    read = (campaign_target("t1", "c1"), "/v1/tenants/t1/campaigns", OPERATORS)
    for target in (*read, "/health/live", "/metrics"):
        get, _ = await api.ask(target)
        head, body = await api.ask(target, "HEAD")
        assert (head.status, body) == (200, b"")
        assert head.headers.get("ETag") == get.headers.get("ETag")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.asyncio
async def test_health_is_200_or_503_with_reasons(api: Api) -> None:
    response, body = await api.ask("/health/live")
    assert (response.status, orjson.loads(body)) == (200, {"status": "ok", "reasons": []})
    response, body = await api.ask("/health/ready")
    assert response.status == 503
    assert orjson.loads(body) == {"status": "failing", "reasons": ["lag: not known yet"]}
    api.live, api.ready = Verdict(("fold: stuck",)), Verdict()
    assert (await api.ask("/health/live"))[0].status == 503
    assert (await api.ask("/health/ready"))[0].status == 200


@pytest.mark.asyncio
async def test_metrics_are_served_in_prometheus_format(api: Api) -> None:
    api.metrics.count("tally_batches_total", 5)
    response, body = await api.ask("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert b"\ntally_batches_total 5.0\n" in body
    assert b"faust" not in body


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path", ["/", "/table/", "/table", "/router/", "/graph/", "/stats/", "/performance/"]
)
async def test_none_of_fausts_own_pages_is_served(api: Api, path: str) -> None:
    response, body = await api.ask(path)
    assert response.status == 404
    assert error_code(body) == "not_found"
