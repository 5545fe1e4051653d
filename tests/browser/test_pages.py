"""Each page in a real browser: its numbers are the API's, and it says what it does not know."""

import random
import re
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.conftest import WAIT_MS
from tests.support.page_worlds import HOSTILE, TENANT, MadeUp, fill, move
from tests.support.web_api import Api, campaign_target, serving

pytestmark = pytest.mark.alone  # what a page shows is awaited by the browser's clock

CAMPAIGN = "campaign 006"
VOICE = "campaign 007"
ODD = HOSTILE[0]
LIST, WALL = "/", "/wall"
TENANT_PATH = f"/v1/tenants/{quote(TENANT, safe='')}"
NUMBERS = """elements => elements.map(one => [
    one.closest("[data-campaign], [data-template], [data-queue]")?.dataset ?? {},
    one.dataset.number,
    one.textContent,
])"""


def path_of(campaign: str) -> str:
    return f"/c/{quote(campaign, safe='')}"


async def show(page: Page, api: Api, path: str) -> None:
    await page.goto(f"http://127.0.0.1:{api.port}{path}?tenant={quote(TENANT, safe='')}")


async def shown(page: Page) -> list[tuple[dict[str, str], str, int]]:
    """Each marked number of a page: what it belongs to, its name and its value."""
    found = await page.locator("[data-number]").evaluate_all(NUMBERS)
    return [(scope, name, int(text.replace(",", ""))) for scope, name, text in found]


def number_of(numbers: dict[str, Any], name: str) -> int:
    """A number of an answer by the name that a page gives it: `errors.meta:131026`, `time_to_read.count`."""
    if name in numbers:
        return int(numbers[name])
    head, _, entry = name.partition(".")
    return int(numbers[head].get(entry, 0))  # maps hold no zeros


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20)


async def settled(page: Page, api: Api, world: MadeUp, rng: random.Random) -> None:
    """Let the world move once more, and wait until the page shows the receipt of that."""
    move(api.view, world, rng, api.now_ms)
    api.catch_up_to(world.transaction)
    await page.locator(".pill").click()
    progress = page.locator("dt", has_text="facts of partition 0").locator("+ dd")
    await expect(progress).to_have_text(str(10 + world.transaction), timeout=WAIT_MS)
    await page.locator(".pill").click()


@pytest.mark.asyncio
@pytest.mark.parametrize("campaign", [CAMPAIGN, VOICE, ODD])
async def test_each_number_of_a_campaigns_page_is_the_apis(
    page: Page, rng: random.Random, campaign: str
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, path_of(campaign))
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        for _ in range(3):
            await settled(page, api, world, rng)
            _, body = await api.ask(campaign_target(TENANT, campaign))
            answer = orjson.loads(body)
            by_template = {
                orjson.dumps([one["template"]["name"], one["template"]["language"]]).decode(): one["counters"]
                for one in answer["templates"]
            }
            numbers = await shown(page)
            for scope, name, value in numbers:
                whose = by_template.get(scope.get("template", ""), answer["totals"])
                assert number_of(whose, name) == value, (scope, name)
            assert {scope["template"] for scope, _, _ in numbers if "template" in scope} >= by_template.keys()
            names = {name for scope, name, _ in numbers if not scope}
            errors = {f"errors.{key}" for key in answer["totals"]["errors"]}
            assert names >= {"attempts", "contacts"} | (errors if answer["totals"]["failed"] else set())
            assert len(names) > 12
            assert await page.locator("[data-closes='false']").count() == 0, "a sum does not close"
        assert await page.locator("h1").inner_text() == (answer["name"] or campaign)


@pytest.mark.asyncio
async def test_each_number_of_the_list_is_the_apis_and_hostile_names_are_text(
    page: Page, rng: random.Random
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 40, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, LIST)
        for _ in range(3):
            await settled(page, api, world, rng)
            _, body = await api.ask(f"{TENANT_PATH}/campaigns")
            campaigns = {one["campaign"]: one for one in orjson.loads(body)["campaigns"]}
            numbers = await shown(page)
            assert {scope["campaign"] for scope, _, _ in numbers} == campaigns.keys() > set(HOSTILE)
            for scope, name, value in numbers:
                assert number_of(campaigns[scope["campaign"]]["totals"], name) == value, (scope, name)
            assert {name for _, name, _ in numbers} == {
                *("contacts", "accepted", "delivered", "read", "replied", "failed", "attempted", "answered"),
            }


@pytest.mark.asyncio
async def test_the_wallboard_has_each_operator_in_its_state_and_each_queues_numbers(
    page: Page, rng: random.Random
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 500, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, WALL)
        await settled(page, api, world, rng)
        _, body = await api.ask(f"{TENANT_PATH}/operators")
        operators = orjson.loads(body)["operators"]
        assert len(operators) == 200
        states = await page.locator("[data-operator]").evaluate_all(
            "all => all.map(one => [one.dataset.operator, one.className])"
        )
        assert sorted(states) == sorted([one["operator"], one["state"]] for one in operators)
        for scope, name, value in await shown(page):
            where = [one["queues"] for one in operators] if "queue" in scope else []
            in_queue = [each for queues in where for each in queues if each["queue"] == scope["queue"]]
            assert sum(one["state"] == name for one in (in_queue or operators)) == value, (scope, name)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [LIST, WALL, path_of(CAMPAIGN)])
async def test_a_page_of_nothing_says_so_and_begins_by_itself(
    page: Page, rng: random.Random, path: str
) -> None:
    async with serving(debug=False) as api:
        await show(page, api, path)
        await expect(page.locator("main")).to_contain_text("Catching up")
        assert await page.locator("html").get_attribute("data-state") == "late"
        api.catch_up()
        await expect(page.locator("main")).to_contain_text("by itself")
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        await expect(page.locator("[data-number]").first).to_be_visible()


@pytest.mark.asyncio
async def test_a_page_without_its_server_says_so_at_once_and_recovers_by_itself(
    page: Page, rng: random.Random
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, path_of(CAMPAIGN))
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        before = await shown(page)
    await expect(page.locator(".pill")).to_have_text(re.compile(r"no news for \d+ s"), timeout=3_500)
    assert await shown(page) == before, "the last numbers stay"
    async with serving(debug=False, port=api.port) as again:
        fill(again.view, random.Random(20), 10, api.now_ms)
        again.catch_up_to(world.transaction)
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        assert await shown(page) == before


@pytest.mark.asyncio
async def test_what_the_api_refuses_is_said(page: Page) -> None:
    async with serving(debug=False) as api:
        await page.goto(f"http://127.0.0.1:{api.port}/?tenant={'x' * 129}")
        await expect(page.locator("main")).to_contain_text("tenant must have 1 to 128 characters")
        await page.goto(f"http://127.0.0.1:{api.port}/")
        await page.get_by_label("Tenant").fill(TENANT)
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("Catching up")


@pytest.mark.asyncio
async def test_the_list_is_filtered_and_ordered_by_keyboard(page: Page, rng: random.Random) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 40, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, LIST)
        rows = page.locator("tr[data-campaign]")
        await expect(rows).to_have_count(40)
        await page.get_by_label("Filter by name").fill("campaign 00")
        await expect(rows).to_have_count(4)
        await page.get_by_label("Channel").select_option("voice")
        await expect(rows).to_have_count(1)
        await page.get_by_label("Filter by name").fill("")
        await page.get_by_label("Order").select_option("name")
        await expect(rows).to_have_count(10)
        await rows.first.get_by_role("link").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("h1.name")).to_be_visible()


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [LIST, WALL, path_of(CAMPAIGN), path_of(VOICE)])
async def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_phone(
    page: Page, rng: random.Random, path: str
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await show(page, api, path)
            await expect(page.locator("[data-number]").first).to_be_visible()
            found = await Axe().run(page)
            impacts = {one["impact"] for one in found.response["violations"]}
            assert impacts.isdisjoint({"serious", "critical"}), found.generate_report()
        for width in (360, 820, 1240):
            await page.set_viewport_size({"width": width, "height": 800})
            beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(beyond) <= 0, f"wider than {width}"


@pytest.mark.asyncio
async def test_ten_tabs_are_live_over_one_stream_and_an_eleventh_request_answers(
    page: Page, rng: random.Random
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        streams: list[str] = []
        page.context.on("request", lambda one: streams.append(one.url) if "/stream?" in one.url else None)
        tabs = [page, *[await page.context.new_page() for _ in range(9)]]
        for tab in tabs:
            await show(tab, api, path_of(CAMPAIGN))
        for tab in tabs:
            await expect(tab.locator("html")).to_have_attribute("data-state", "exact", timeout=WAIT_MS)
        assert len(streams) == 1
        assert await tabs[-1].evaluate("fetch('/pages/main.js').then(answer => answer.status)") == 200
        await tabs.pop(0).close()  # the one that reads for all
        for number, tab in enumerate(tabs):
            await settled(tab, api, world, rng)
            assert len(streams) == 2, number
