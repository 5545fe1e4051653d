"""The read API over HTTP: one campaign."""

import orjson
import pytest

from tally.schemas.descriptions import FIELDS
from tally.schemas.grains import RowKey
from tests.support.view_rows import NEWS, PROMO, put
from tests.support.web_api import ODD_IDS, Api, campaign_target, error_code

UUID = "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"


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
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert list(answer) == [
        *(
            "tenant",
            "campaign",
            "channel",
            *FIELDS,
            "totals",
            "rates",
            "failure_share",
            "templates",
            "receipt",
        )
    ]
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
        assert response.headers["Cache-Control"] == "private, no-cache"
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
async def test_a_campaign_carries_what_is_said_of_it_and_where_it_stands(api: Api) -> None:
    said = ("name=November", "status=running", "tag=b", "tag=a", "planned=20", "limit.per_second=80")
    put(api.view, RowKey("t1", "c1", None), {f"description.{entry}": 1 for entry in said})
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 9, "queued": 1, "accepted": 7, "failed_at_send": 1})
    api.catch_up()

    answer = orjson.loads((await api.ask(campaign_target("t1", "c1")))[1])
    listed = orjson.loads((await api.ask("/v1/tenants/t1/campaigns"))[1])["campaigns"][0]
    target = f"{campaign_target('t1', 'c1')}/progress"
    first, second = [orjson.loads((await api.ask(target))[1]) for _ in range(2)]

    expected = {
        "name": "November",
        "status": "running",
        "tags": ["a", "b"],
        "planned": 20,
        "limits": {"per_second": 80},
    }
    assert {field: answer[field] for field in FIELDS} == expected
    assert {field: listed[field] for field in FIELDS} == expected
    assert {name: first[name] for name in ("sent", "failed", "done", "left")} == {
        "sent": 7,
        "failed": 1,
        "done": 8,
        "left": 12,
    }
    assert (first["per_second_10s"], first["per_second_1m"], first["left_seconds"]) == (None, None, None)
    assert (second["per_second_10s"], second["per_second_1m"], second["left_seconds"]) == (0, 0, None)
    assert (await api.ask("/v1/tenants/t1/campaigns/c9/progress"))[0].status == 404
