"""A worker is asked at the given address, and an answer that is not a worker's is an error."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tally.agents.audit.answers import CampaignAnswer, OperatorsAnswer, Receipt
from tally.streams.audit.view import Asking, NoAnswer


async def ask(scope: tuple[str, str], *, status: int = 200, body: Any = None) -> tuple[Any, list[str]]:
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.raw_path)
        return web.Response(status=status, body=body, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, Asking(str(server.make_url("/")), generation=1, key="") as asking:
        return await asking.ask(scope), paths


@pytest.mark.asyncio
async def test_an_id_is_asked_for_as_it_is_whatever_it_holds() -> None:
    body = b'{"error": {}, "receipt": {"generation": 1, "progress": {}}}'
    answer, paths = await ask(("a/b", ".."), status=404, body=body)
    assert paths == ["/v1/tenants/a%2Fb/campaigns/%2E%2E"]
    assert answer == CampaignAnswer(Receipt(1, {}))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (302, b"{}"),
        (404, b"not found"),
        (200, b"\xff"),
        (200, b'{"totals": {}}'),
        (200, b'{"totals": {"read": "1"}, "receipt": {"generation": 1, "progress": {}}}'),
        (200, b'{"receipt": {"generation": 2, "progress": {}}}'),
    ],
)
async def test_what_is_no_answer_of_a_worker_of_this_generation_is_refused(status: int, body: bytes) -> None:
    with pytest.raises(NoAnswer):
        await ask(("t1", "c1"), status=status, body=body)


@pytest.mark.asyncio
async def test_all_pages_of_operators_are_one_answer_that_speaks_of_what_all_of_them_had_read() -> None:
    def page(name: str, progress: dict[str, int], cursor: str | None) -> dict[str, Any]:
        operator = {"pbx": "a", "operator": name, "counts": {"connects": 1}}
        receipt = {"generation": 1, "progress": progress}
        return {"operators": [operator], "next_cursor": cursor, "receipt": receipt}

    pages = {"": page("1", {"0": 5, "1": 7}, "x/y"), "x/y": page("2", {"0": 6, "1": 3}, None)}

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(pages[request.query.get("cursor", "")])

    app = web.Application()
    app.router.add_get("/v1/tenants/t1/operators", answer)
    async with TestServer(app) as server, Asking(str(server.make_url("/")), generation=1, key="") as asking:
        found = await asking.ask(("t1", ""))
    assert isinstance(found, OperatorsAnswer)
    assert [one.operator for one in found.operators] == ["1", "2"]
    assert found.receipt == Receipt(1, {0: 5, 1: 3})


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://host", "http://", "http://[host"])
def test_what_is_no_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(NoAnswer) as raised:
        Asking(url, generation=1, key="")
    assert "127.0.0.1:6066" in str(raised.value)
