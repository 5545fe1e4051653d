"""The read API over HTTP: a tenant's operators."""

from urllib.parse import quote

import orjson
import pytest

from tally.schemas.grains import RowKey
from tests.support.view_rows import PROMO, put, put_operator
from tests.support.web_api import ODD_IDS, OPERATORS, Api, error_code


def available(queue: str, **more: int) -> dict[str, int]:
    numbers = {"status": 1, "since_ms": 1_795_350_870_000, **more}
    return {f"memberships.{queue}/{name}": number for name, number in numbers.items()}


@pytest.mark.asyncio
async def test_operators_are_answered_with_states_counts_and_a_receipt(api: Api) -> None:
    put_operator(api.view, "t1", "PJSIP/202", {"connects": 1, "talk_ms": 30}, 1)
    put_operator(api.view, "t1", "PJSIP/201", {"memberships.name=Ann": 1, **available("sales")})
    put_operator(api.view, "", "PJSIP/202", {"memberships.name=Bob": 1, **available("sales", status=6)})
    put_operator(api.view, "t2", "PJSIP/203", {"connects": 1})
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    api.catch_up()
    response, body = await api.ask(OPERATORS)
    answer = orjson.loads(body)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert list(answer) == ["tenant", "operators", "waiting", "next_cursor", "receipt"]
    assert (answer["tenant"], answer["receipt"]["state"]) == ("t1", "live")
    ann, bob = answer["operators"]
    since = "2026-11-22T12:34:30.000Z"
    assert ann == {
        **{"pbx": "pbx01", "operator": "PJSIP/201", "name": "Ann"},
        **{"state": "available", "reason": None, "since": since},
        "queues": [
            {"queue": "sales", "state": "available", "paused": False, "reason": None, "since": since},
        ],
        "counts": {"connects": 0, "ring_no_answer": 0, "talk_ms": 0},
    }
    assert (bob["operator"], bob["name"], bob["state"]) == ("PJSIP/202", "Bob", "ringing")
    assert bob["counts"] == {"connects": 1, "ring_no_answer": 0, "talk_ms": 30}
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
