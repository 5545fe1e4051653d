"""Every list ends at its limit and goes on by its cursor: each entry is seen once, while others come."""

from collections.abc import Callable, Iterator
from itertools import count

import orjson
import pytest

from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.streams.web.parameters import CURSOR
from tally.streams.web.routes import READ_API
from tests.support.view_rows import PROMO, put, put_operator
from tests.support.web_api import OPERATORS, Api, serving

pytestmark = [pytest.mark.asyncio, pytest.mark.long]

ENTRIES, ADDED = 10_000, 20
ACTIVE_MS = 1_795_000_000_000
Put = Callable[[View, int], None]
"""Puts an entry of a number into a view; those beyond `ENTRIES` come while a client walks."""


def put_campaign(view: View, number: int) -> None:
    # Several with the same activity: then the id decides.
    last_ms = ACTIVE_MS + number // 7
    put(view, RowKey("t1", f"c{number}", PROMO), {"contacts": 1}, span=(ACTIVE_MS, last_ms))


def put_template(view: View, number: int) -> None:
    put(view, RowKey("t1", "c1", Template(f"t{number * 7_919 % 99_991}", "en")), {"contacts": 1})


def put_an_operator(view: View, number: int) -> None:
    put_operator(view, "t1", f"PJSIP/{number * 7_919 % 99_991}", {"connects": 1}, pbx=f"pbx{number % 3}")


def put_queue(view: View, number: int) -> None:
    # A campaign names a bounded number of queues, so they are of many.
    name = f"q/{number * 7_919 % 99_991}"
    put(
        view,
        RowKey("t1", f"c{number // 100}", Template(name, "")),
        {f"queues.{name}/joins": 1, f"queues.{name}/connects": 1, f"queue_waits.{name}/5": 1},
        channels=("voice",),
    )


LISTS = {
    "/v1/tenants/t1/campaigns": ("campaigns", ("campaign",), put_campaign, 500),
    OPERATORS: ("operators", ("pbx", "operator"), put_an_operator, 1_000),
    "/v1/tenants/t1/queues": ("queues", ("queue",), put_queue, 1_000),
    "/v1/tenants/t1/campaigns/c1/templates": ("templates", ("template",), put_template, 1_000),
}
WALKED_OVER_POSTGRES = {
    "/v1/tenants/t1/numbers",
    "/v1/tenants/t1/campaigns/c1/lines",
    "/v1/tenants/t1/campaigns/c1/recipients",
}
"""By test_web_numbers.py and test_web_lines.py: those lists are answered with what Postgres holds."""


async def test_every_address_with_a_cursor_is_walked_here() -> None:
    paths = {one.path.format(tenant="t1", campaign="c1") for one in READ_API if CURSOR in one.parameters}
    assert paths == LISTS.keys() | WALKED_OVER_POSTGRES, "a new list needs a walk of its own"


@pytest.mark.parametrize("path", LISTS)
async def test_a_walk_sees_each_of_10_000_entries_once_while_others_come(path: str) -> None:
    name, _, put_entry, _ = LISTS[path]
    async with serving(debug=False) as api:
        for number in range(ENTRIES):
            put_entry(api.view, number)
        api.catch_up()
        before = set(known(api, name))
        seen = await walked(api, path)
        after = set(known(api, name))
    assert len(before) == ENTRIES
    assert len(after) > ENTRIES, "others came"
    assert len(seen) == len(set(seen)), "each once"
    assert before <= set(seen) <= after


async def walked(api: Api, path: str) -> list[str]:
    """Walk a list to its end, while entries are added; return what was seen."""
    name, identity, put_entry, most = LISTS[path]
    seen, more, cursor = list[str](), iter(range(ENTRIES, ENTRIES + ADDED)), ""
    for pages in count(1):
        _, body = await api.ask(f"{path}?limit={most}{cursor and f'&cursor={cursor}'}")
        answer = orjson.loads(body)
        assert len(answer[name]) <= most
        seen += [named(one, identity) for one in answer[name]]
        if (cursor := answer["next_cursor"]) is None:
            break
        assert pages <= 2 * ENTRIES / most, "the walk comes to an end"
        if (added := next(more, None)) is not None:
            put_entry(api.view, added)
    return seen


async def test_a_campaign_that_becomes_active_while_a_client_walks_is_found_by_since(api: Api) -> None:
    """It moves to the first page, where the walk has been: docs/dashboards.md says how to find it."""
    for number in range(30):
        put(
            api.view, RowKey("t1", f"c{number}", PROMO), {"contacts": 1}, span=(ACTIVE_MS, ACTIVE_MS + number)
        )
    path = "/v1/tenants/t1/campaigns"
    first = orjson.loads((await api.ask(f"{path}?limit=10"))[1])
    put(api.view, RowKey("t1", "c3", PROMO), {"contacts": 1}, 0, 2, span=(ACTIVE_MS, ACTIVE_MS + 99))
    rest = orjson.loads((await api.ask(f"{path}?limit=30&cursor={first['next_cursor']}"))[1])
    again = orjson.loads((await api.ask(f"{path}?since={ACTIVE_MS + 30}"))[1])

    walked = {one["campaign"] for one in first["campaigns"] + rest["campaigns"]}
    assert {f"c{number}" for number in range(30)} - walked == {"c3"}
    assert [one["campaign"] for one in again["campaigns"]] == ["c3"]


def named(entry: dict[str, object], identity: tuple[str, ...]) -> str:
    return orjson.dumps([entry[part] for part in identity]).decode()


def known(api: Api, name: str) -> Iterator[str]:
    """Yield what a view holds, by its rows alone."""
    if name == "campaigns":
        yield from (orjson.dumps([one.campaign]).decode() for one in api.view.recent("t1"))
    elif name == "operators":
        yield from (orjson.dumps([one.name, one.language]).decode() for one in api.view.operators.names("t1"))
    elif name == "templates":
        found = api.view.find("t1", "c1")
        assert found is not None
        for template in found.slots:
            assert template is not None
            shown = {"name": template.name, "language": template.language, "ids": []}
            yield orjson.dumps([shown]).decode()
    else:
        for campaign in api.view.recent("t1"):
            yield from (orjson.dumps([template.name]).decode() for template in campaign.slots if template)
