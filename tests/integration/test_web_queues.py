"""The read API over HTTP: a tenant's queues."""

import orjson
import pytest

from tally.schemas.grains import RowKey
from tally.schemas.waiting import Caller, encode_since
from tests.support.view_rows import PROMO, put
from tests.support.web_api import OPERATORS, Api, error_code

QUEUES = "/v1/tenants/t1/queues"
SINCE_MS = 1_795_350_870_000
SINCE = "2026-11-22T12:34:30.000Z"


def wait(api: Api, queue: str, channel: str, since_ms: int | None, pbx: str = "pbx01") -> None:
    value = None if since_ms is None else encode_since(since_ms)
    api.view.apply(0, Caller("t1", pbx, queue, channel).encode(), value)


@pytest.mark.asyncio
async def test_queues_are_answered_with_who_waits_counts_and_service_levels(api: Api) -> None:
    counts = {"joins": 9, "connects": 4, "abandoned": 1, "timeouts": 3, "waiting": 1, "wait_ms": 90_500}
    waits = {f"queue_waits.sales/{seconds}": n for seconds, n in {5: 2, 19: 1, 20: 1}.items()}
    put(api.view, RowKey("t1", "c1", PROMO), {f"queues.sales/{what}": n for what, n in counts.items()})
    put(api.view, RowKey("t1", "c2", PROMO), waits)
    put(api.view, RowKey("t2", "c3", PROMO), {"queues.sales/joins": 7})
    wait(api, "sales", "a", SINCE_MS + 500)
    wait(api, "sales", "b", SINCE_MS)
    wait(api, "sales", "c", SINCE_MS + 700, "pbx02")
    wait(api, "care", "d", SINCE_MS)
    wait(api, "care", "d", None)
    api.catch_up()
    response, body = await api.ask(f"{QUEUES}?threshold_seconds=20,6&threshold_seconds=60")
    answer = orjson.loads(body)

    assert response.status == 200
    assert (list(answer), answer["receipt"]["state"]) == (list(SHOWN), "live")
    (sales,) = answer["queues"]
    assert (sales["queue"], sales["waiting"], sales["since"]) == ("sales", 3, SINCE)
    assert sales["longest_wait_ms"] == api.now_ms - SINCE_MS
    assert [(one["pbx"], one["waiting"]) for one in sales["pbxs"]] == [("pbx01", 2), ("pbx02", 1)]
    del counts["waiting"]
    assert sales["counts"] == {"ring_no_answer": 0, "talk_ms": 0, "hold_ms": 0, **counts}
    levels = [(one["threshold_seconds"], one["connects"], one["of"]) for one in sales["service_level"]]
    assert levels == [(6, 2, 8), (20, 3, 8), (60, 4, 8)]
    assert sales["service_level"][1]["value"] == 3 / 8


@pytest.mark.asyncio
async def test_a_queue_in_which_nobody_joined_for_a_campaign_shows_while_somebody_waits(api: Api) -> None:
    wait(api, "care", "d", SINCE_MS)
    (care,) = orjson.loads((await api.ask(QUEUES))[1])["queues"]
    assert (care["waiting"], care["counts"]["joins"]) == (1, 0)
    assert care["service_level"] == [{"threshold_seconds": 20, "connects": 0, "of": 0, "value": None}]

    wait(api, "care", "d", None)
    assert orjson.loads((await api.ask(QUEUES))[1])["queues"] == []


@pytest.mark.asyncio
async def test_operators_are_answered_with_who_waits(api: Api) -> None:
    wait(api, "sales", "a", SINCE_MS)
    response, body = await api.ask(OPERATORS)
    assert orjson.loads(body)["waiting"] == [{"pbx": "pbx01", "queue": "sales", "waiting": 1, "since": SINCE}]

    wait(api, "sales", "b", SINCE_MS + 1)
    known = {"If-None-Match": response.headers["ETag"]}
    assert (await api.ask(OPERATORS, headers=known))[0].status == 200


@pytest.mark.asyncio
async def test_operators_are_answered_with_a_thousand_waiting_queues_and_how_many_more_there_are(
    api: Api,
) -> None:
    for number in range(1_003):
        wait(api, f"q{number:04}", "a", SINCE_MS)
    answer = orjson.loads((await api.ask(OPERATORS))[1])
    assert [one["queue"] for one in answer["waiting"]] == [f"q{number:04}" for number in range(1_000)]
    assert answer["waiting_more"] == 3


SHOWN = ("tenant", "queues", "next_cursor", "receipt")
BAD = (
    "threshold_seconds=0",
    "threshold_seconds=x",
    "threshold_seconds=1.5",
    "threshold_seconds=86401",
    "pbx=1",
)


@pytest.mark.asyncio
@pytest.mark.parametrize("query", BAD)
async def test_a_threshold_that_is_none_is_refused(api: Api, query: str) -> None:
    response, body = await api.ask(f"{QUEUES}?{query}")

    assert (response.status, error_code(body)) == (400, "bad_parameter")
