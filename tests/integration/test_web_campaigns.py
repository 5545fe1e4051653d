"""The read API over HTTP: the list of a tenant's campaigns."""

import orjson
import pytest

from tally.schemas.descriptions import FIELDS
from tally.schemas.grains import RowKey
from tests.support.view_rows import PROMO, put
from tests.support.web_api import Api, error_code


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
    assert list(entry) == [
        *(
            "campaign",
            "channel",
            *FIELDS,
            "totals",
            "rates",
            "failure_share",
            "first_activity",
            "last_activity",
        )
    ]
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
@pytest.mark.parametrize("query", ["limit=0", "limit=x", "since=soon", "cursor=x", "id=", "limit=1&limit=1"])
async def test_a_malformed_parameter_is_400(api: Api, query: str) -> None:
    response, body = await api.ask(f"/v1/tenants/t1/campaigns?{query}")
    assert response.status == 400
    assert error_code(body) == "bad_parameter"
