"""Laws of every address of the web server."""

import re
from importlib import import_module
from pkgutil import iter_modules

import orjson
import pytest

from tally.agents.view.campaign import Campaign
from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.streams import web
from tally.streams.web import (
    activity,
    breakdown,
    cost,
    exports,
    lines,
    numbers,
    recipients,
    routes,
    same_age,
    series,
    stories,
)
from tally.streams.web.routes import DESCRIPTION, READ_API, ROUTES, SESSION, STREAM, WITH_KEY
from tally.tables.postgres.breakdown import WAYS
from tests.support.view_rows import PROMO, put
from tests.support.web_api import OPERATORS, SUBJECTS, Api, campaign_target, error_code

STORED = tuple(
    one
    for module in (series, breakdown, same_age, activity, cost, lines, recipients, stories, exports, numbers)
    for one in module.ROUTES
)
"""Of Postgres alone, which is away from this server."""
REQUIRED = {
    "campaign_breakdown": "?by=market",
    **dict.fromkeys(("campaign_lines", "campaign_lines_csv", "campaign_lines_ndjson"), "?counter=accepted"),
}
"""Queries of addresses that do not answer without one."""


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
    for target in read:
        get, _ = await api.ask(target)
        head, body = await api.ask(target, "HEAD")
        assert (head.status, body) == (200, b"")
        assert head.headers.get("ETag") == get.headers.get("ETag")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/table/", "/table", "/router/", "/graph/", "/stats/", "/performance/"])
async def test_none_of_fausts_own_pages_is_served(api: Api, path: str) -> None:
    response, body = await api.ask(path)
    assert response.status == 404
    assert error_code(body) == "not_found"


@pytest.mark.asyncio
async def test_every_address_answers_get_alone_and_names_what_it_does_not_read(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    for endpoint in ROUTES:
        target = endpoint.path.format(
            tenant="t1", campaign="c1", file="main.js", version="v", operator="o1", queue="q1", **SUBJECTS
        )
        query = REQUIRED.get(endpoint.name, "")
        # A stream has no end: its own tests read it.
        response, body = (
            await api.ask(f"{target}?campaign=c1", "HEAD")
            if endpoint in STREAM
            else await api.ask(target + query)
        )
        status = 503 if endpoint in STORED else 200
        assert response.status == status, f"{endpoint.name}: or does another address answer {target}?"
        refused, _ = await api.ask(target, "PATCH" if endpoint in SESSION else "POST")
        if endpoint in SESSION:  # pages log in there
            assert (refused.status, refused.headers["Allow"]) == (405, "DELETE,GET,HEAD,POST,PUT")
            continue
        assert (refused.status, refused.headers["Allow"]) == (405, "GET,HEAD"), endpoint.name
        if endpoint in READ_API and status == 200:
            assert "receipt" in orjson.loads(body), f"{endpoint.name}: a receipt goes out with every number"
        if endpoint in WITH_KEY:
            response, body = await api.ask(f"{target}?nonsuch=1")
            assert (response.status, error_code(body)) == (400, "bad_parameter"), endpoint.name
            assert all(one.name.encode() in body for one in endpoint.parameters), endpoint.name


@pytest.mark.asyncio
async def test_while_postgres_is_away_what_is_there_alone_says_so_and_all_else_goes_on(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), {"contacts": 1})
    campaign = campaign_target("t1", "c1")
    for target in (
        f"{campaign}/series",
        "/v1/tenants/t1/series?interval=hour",
        "/v1/tenants/t1/operators/o1/series",
        "/v1/tenants/t1/queues/q1/series",
        *(f"{campaign}/breakdown?by={by}" for by in WAYS),
        f"{campaign}/same-age",
        "/v1/tenants/t1/activity",
    ):
        response, body = await api.ask(target)
        assert (response.status, error_code(body)) == (503, "postgres_away"), target
        assert b"campaigns, lists, operators and queues go on" in body
    for target in (campaign, "/v1/tenants/t1/campaigns", OPERATORS, "/v1/tenants/t1/queues"):
        response, _ = await api.ask(target)
        assert response.status == 200, target


def test_every_module_with_routes_is_served() -> None:
    modules = [import_module(found.name) for found in iter_modules(web.__path__, f"{web.__name__}.")]
    declared = [one for module in modules if module is not routes for one in getattr(module, "ROUTES", ())]

    unserved = {one.name for one in declared} - {one.name for one in ROUTES}
    assert not unserved, "ROUTES of a module join READ_API or STREAM in streams/web/routes.py"
    assert [*declared, DESCRIPTION] == sorted(ROUTES, key=[*declared, DESCRIPTION].index)


@pytest.mark.asyncio
async def test_a_page_keeps_its_own_policy_when_nothing_has_changed(api: Api) -> None:
    page, _ = await api.ask("/")
    again, body = await api.ask("/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status, body) == (304, b"")
    assert again.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]


@pytest.mark.asyncio
async def test_a_browser_keeps_a_file_of_the_pages_under_its_version_and_under_no_other(api: Api) -> None:
    _, page = await api.ask("/")
    (version,) = {one.decode() for one in re.findall(rb'"/pages/([^/"]+)/', page)}
    for named, is_kept in ((version, True), ("0" * 16, False)):
        file, _ = await api.ask(f"/pages/{named}/main.js")
        assert ("immutable" in file.headers["Cache-Control"]) == is_kept
        assert file.headers["Vary"] == "Accept-Encoding"


@pytest.mark.asyncio
async def test_a_page_of_what_is_no_id_is_a_bad_request(api: Api) -> None:
    response, _ = await api.ask(f"/c/{'0' * 200}")

    assert response.status == 400
