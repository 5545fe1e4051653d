"""What a page shows, read out of its document, and what the API says that it should be."""

import random
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import WAIT_MS
from tests.support.page_worlds import TENANT, MadeUp, move
from tests.support.web_api import Api

TENANT_PATH = f"/v1/tenants/{quote(TENANT, safe='')}"
NUMBERS = """elements => elements.map(one => [
    one.closest(
        ["campaign", "template", "queue", "audit", "gateway", "partition", "reason"]
            .map(one => `[data-${one}]`).join()
    )?.dataset ?? {},
    one.dataset.number,
    one.textContent,
])"""
CELLS = """(rows, name) => Object.fromEntries(rows.map(row => [
    row.dataset[name],
    Object.fromEntries([...row.querySelectorAll("[data-counter]")].map(cell => [
        cell.dataset.counter,
        (cell.querySelector("b") ?? cell).textContent,
    ])),
]))"""
Counters = dict[str, int]


def path_of(campaign: str) -> str:
    return f"/c/{quote(campaign, safe='')}"


async def show(page: Page, api: Api, path: str, **query: str) -> None:
    await page.goto(f"http://127.0.0.1:{api.port}{path}?{urlencode({'tenant': TENANT, **query})}")


async def whole_page(page: Page) -> None:
    """Wait, where the first numbers are there, until all else that a page draws is too."""
    await expect(page.locator(".coming")).to_have_count(0)


async def told(api: Api, path: str, **query: str) -> Any:
    """What the API answers to a question about the tenant."""
    response, body = await api.ask(f"{TENANT_PATH}{path}?{urlencode(query)}")
    assert response.status == 200, body
    return orjson.loads(body)


async def shown(page: Page) -> list[tuple[dict[str, str], str, int]]:
    """Each marked number of a page: what it belongs to, its name and its value."""
    found = await page.locator("[data-number]").evaluate_all(NUMBERS)
    return [(scope, name, whole(text)) for scope, name, text in found]


async def rows(place: Locator, name: str) -> dict[str, Counters]:
    """The rows of a panel's table by what they are of: each counter's number."""
    found = await place.locator(f"tr[data-{name}]").evaluate_all(CELLS, name)
    return {key: {counter: whole(text) for counter, text in cells.items()} for key, cells in found.items()}


def whole(text: str) -> int:
    return int(text.replace(",", ""))


def number_of(numbers: dict[str, Any], name: str) -> int:
    """A number of an answer by the name that a page gives it: `errors.meta:131026`, `time_to_read.count`."""
    if name in numbers:
        return int(numbers[name])
    head, _, entry = name.partition(".")
    return int(numbers[head].get(entry, 0))  # maps hold no zeros


async def settled(page: Page, api: Api, world: MadeUp, rng: random.Random) -> None:
    """Let the world move once more, and wait until the page shows the receipt of that."""
    move(api.view, world, rng, api.now_ms)
    api.catch_up_to(world.transaction)
    await page.locator(".pill").click()
    progress = page.locator("dt", has_text="facts of partition 0").locator("+ dd")
    await expect(progress).to_have_text(str(10 + world.transaction), timeout=WAIT_MS)
    await page.locator(".pill").click()
