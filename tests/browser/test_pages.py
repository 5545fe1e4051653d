"""Each page in a real browser: its numbers are the API's, and it says what it does not know."""

import random
import re
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from axe_playwright_python.async_playwright import Axe
from msgspec import Struct
from playwright.async_api import Page, expect

from tally.schemas.grains import RowKey
from tests.browser.conftest import WAIT_MS
from tests.browser.reading import number_of, path_of, settled, show, shown, told, whole_page
from tests.support.page_worlds import HOSTILE, TENANT, fill
from tests.support.view_rows import PROMO, put
from tests.support.web_api import Api, serving

pytestmark = pytest.mark.alone  # what a page shows is awaited by the browser's clock

CAMPAIGN, OTHER = "campaign 006", "campaign 008"
VOICE = "campaign 007"
ODD = HOSTILE[0]
LIST, WALL, COMPARE = "/", "/wall", "/compare"
ELEVENTH = """
fetch(document.querySelector("script").src, {cache: "no-store"}).then(answer => answer.status)
"""
SHIFTS = """
window.shifted = [];
const isMoved = ({previousRect: before, currentRect: now}) =>
    before.top !== now.top || before.bottom !== now.bottom ||
    (before.left !== now.left && before.right !== now.right);
const told = ({node}) => (node?.outerHTML ? node : node?.parentElement)?.outerHTML.slice(0, 300);
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
        // A right-aligned number that gets a digit more begins further left, and ends where it did.
        const moved = entry.sources.filter(isMoved);
        if (moved.length && !entry.hadRecentInput) window.shifted.push(moved.map(told));
    }
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20)


class Right(Struct, frozen=True):
    """What a page should show at one moment."""

    whose: Callable[[dict[str, str]], dict[str, Any]]
    """The numbers of the API for what a number of the page belongs to."""
    scopes: AbstractSet[str]
    """What has to be on the page: campaigns, or templates."""
    names: set[str]
    """Which numbers have to be."""


async def of_campaign(api: Api, campaign: str) -> Right:
    answer = await told(api, f"/campaigns/{quote(campaign, safe='')}")
    by_template = {
        orjson.dumps([one["template"]["name"], one["template"]["language"]]).decode(): one["counters"]
        for one in answer["templates"]
    }
    totals = answer["totals"]
    errors = {f"errors.{key}" for key in totals["errors"]} if totals["failed"] else set()
    return Right(
        lambda scope: by_template.get(scope.get("template", ""), totals),
        by_template.keys(),
        {"attempts", "contacts", *errors},
    )


async def of_list(api: Api, *campaigns: str) -> Right:
    listed = {one["campaign"]: one["totals"] for one in (await told(api, "/campaigns"))["campaigns"]}
    both = {"contacts", "failed", "attempted", "answered", "accepted", "delivered", "read", "replied"}
    return Right(
        lambda scope: listed[scope["campaign"]],
        {*campaigns} or listed.keys(),
        {"contacts"} if campaigns else both,
    )


PAGES: dict[str, tuple[str, dict[str, str], Callable[[Api], Awaitable[Right]]]] = {
    "WhatsApp": (path_of(CAMPAIGN), {}, lambda api: of_campaign(api, CAMPAIGN)),
    "voice": (path_of(VOICE), {}, lambda api: of_campaign(api, VOICE)),
    "a hostile name": (path_of(ODD), {}, lambda api: of_campaign(api, ODD)),
    "list": (LIST, {}, of_list),
    "two campaigns": (COMPARE, {"a": CAMPAIGN, "b": OTHER}, lambda api: of_list(api, CAMPAIGN, OTHER)),
    "two of both channels": (COMPARE, {"a": CAMPAIGN, "b": VOICE}, lambda api: of_list(api, CAMPAIGN, VOICE)),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", PAGES)
async def test_each_number_of_a_page_is_the_apis_and_nothing_jumps_when_numbers_change(
    page: Page, rng: random.Random, name: str
) -> None:
    path, query, right_of = PAGES[name]
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 20, api.now_ms)
        api.catch_up_to(world.transaction)
        await page.add_init_script(SHIFTS)
        await show(page, api, path, **query)
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        await expect(page.locator("[data-number]").first).to_be_visible()
        await whole_page(page)
        await page.evaluate("window.shifted = []")
        for _ in range(3):
            await settled(page, api, world, rng)
            right, numbers = await right_of(api), await shown(page)
            for scope, number, value in numbers:
                assert number_of(right.whose(scope), number) == value, (scope, number)
            assert {one for scope, _, _ in numbers for one in scope.values()} >= right.scopes
            assert {number for _, number, _ in numbers} >= right.names
            assert len(numbers) > 12
            assert await page.locator("[data-closes='false']").count() == 0, "a sum does not close"
            assert not re.search(r"NaN|undefined|Infinity", await page.locator("main").inner_text())
        assert await page.evaluate("window.shifted") == [], "numbers change where they stand"


@pytest.mark.asyncio
async def test_names_from_the_wire_are_text(page: Page, rng: random.Random) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 40, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, LIST)
        await expect(page.locator("tr[data-campaign]")).to_have_count(40)
        links = page.locator("tr[data-campaign] a")
        assert {await one.get_attribute("title") for one in await links.all()} >= {*HOSTILE}
        for name in HOSTILE:
            entry = next(
                one for one in (await told(api, "/campaigns"))["campaigns"] if one["campaign"] == name
            )
            await show(page, api, path_of(name))
            assert await page.locator("h1.name").get_attribute("title") == (entry["name"] or name)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [LIST, WALL, COMPARE, path_of(CAMPAIGN)])
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
        if path == COMPARE:
            await page.get_by_label("First campaign").select_option(CAMPAIGN)
            await page.get_by_label("Second campaign").select_option(OTHER)
        await expect(page.locator("[data-number]").first).to_be_visible()


@pytest.mark.asyncio
async def test_the_list_is_filtered_and_ordered_by_keyboard_and_the_address_keeps_it(
    page: Page, rng: random.Random
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 40, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, LIST)
        rows = page.locator("tr[data-campaign]")
        await expect(rows).to_have_count(40)
        listed = (await told(api, "/campaigns"))["campaigns"]
        for label, member, chosen in (("Status", "status", "running"), ("Tag", "tags", "autumn")):
            right = {one["campaign"] for one in listed if chosen in (one[member] or ())}
            assert 0 < len(right) < 40
            await page.get_by_label(label).select_option(chosen)
            await expect(rows).to_have_count(len(right))
            assert {await row.get_attribute("data-campaign") for row in await rows.all()} == right
            await page.reload()
            await expect(rows).to_have_count(len(right))
            await page.get_by_label(label).select_option("all")
            await expect(rows).to_have_count(40)
        await page.get_by_label("Filter by name").fill("campaign 00")
        await expect(rows).to_have_count(4)
        await page.get_by_label("Channel").select_option("voice")
        await expect(rows).to_have_count(1)
        await page.get_by_label("Filter by name").fill("no such name")
        await expect(page.locator("main")).to_contain_text("No campaign fits this filter")
        await page.get_by_label("Filter by name").fill("")
        await page.get_by_label("Order").select_option("name")
        await expect(rows).to_have_count(10)
        await page.reload()
        await expect(rows).to_have_count(10)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the numbers")).to_be_focused()
        await rows.first.get_by_role("link").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("h1.name")).to_be_visible()


@pytest.mark.asyncio
async def test_a_choice_begins_with_all_also_where_tags_are_numbers(page: Page) -> None:
    async with serving(debug=False) as api:
        for name, tag in (("c1", "2026"), ("c2", "autumn")):
            put(api.view, RowKey(TENANT, name, None), {f"description.tag={tag}": 1})
            put(api.view, RowKey(TENANT, name, PROMO), {"contacts": 1})
        api.catch_up()
        await show(page, api, LIST)
        options = page.get_by_label("Tag").locator("option")
        await expect(options).to_have_text(["Any tag", "2026", "autumn"])


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [LIST, WALL, COMPARE, path_of("c1")])
async def test_the_longest_words_fit_on_a_page_of_400_per_cent(page: Page, path: str) -> None:
    said = {"status": "s" * 64, "tag": "t" * 64, "name": "n" * 128}
    async with serving(debug=False) as api:
        put(
            api.view,
            RowKey(TENANT, "c1", None),
            {f"description.{key}={text}": 1 for key, text in said.items()},
        )
        put(api.view, RowKey(TENANT, "c1", PROMO), {"contacts": 1}, channels=("whatsapp",))
        api.catch_up()
        await page.set_viewport_size({"width": 320, "height": 640})  # 1,280 pixels at 400 %
        await show(page, api, path, a="c1", b="c1")
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        await expect(page.locator("main h1")).to_be_visible()
        beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(beyond) <= 0


@pytest.mark.asyncio
async def test_red_is_who_surely_fails_too_much_and_each_row_says_the_top_reason(
    page: Page, rng: random.Random
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 40, api.now_ms)
        for nth, (failed, accepted) in enumerate(((30, 70), (10, 90), (49, 0), (0, 0))):
            counts = {"attempts": 100, "accepted": accepted, "failed_at_send": failed}
            counts |= (
                {"errors.meta:131026": failed // 2 + 1, "errors.meta:131049": failed // 2} if failed else {}
            )
            put(api.view, RowKey(TENANT, f"judged {nth}", PROMO), counts, channels=("whatsapp",))
        api.catch_up_to(world.transaction)
        await show(page, api, LIST)
        rows = page.locator("tr[data-campaign]")
        await expect(rows).to_have_count(44)
        right = {
            one["campaign"]: one["failure_share"]["is_high"]
            for one in (await told(api, "/campaigns"))["campaigns"]
        }
        assert [right[f"judged {nth}"] for nth in range(4)] == [True, False, False, False]
        for row in await rows.all():
            name = await row.get_attribute("data-campaign") or ""
            is_red = await row.locator("[data-name='failed'].bad").count() == 1
            assert is_red == right[name], name
        first = page.locator("tr[data-campaign='judged 0']")
        await expect(first.locator(".why")).to_have_text("cannot be delivered")
        high = sum(right.values())
        await expect(page.locator(".sub .bad")).to_contain_text(f"{high} with surely more than 10 % failed")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [LIST, WALL, COMPARE, path_of(CAMPAIGN), path_of(VOICE)])
async def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_phone(
    page: Page, rng: random.Random, path: str
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await show(page, api, path, a=CAMPAIGN, b=VOICE)
            await expect(page.locator("[data-number]").first).to_be_visible()
            await whole_page(page)
            found = await Axe().run(page)
            impacts = {one["impact"] for one in found.response["violations"]}
            assert impacts.isdisjoint({"serious", "critical"}), found.generate_report()
        for width in (360, 820, 1240):
            await page.set_viewport_size({"width": width, "height": 800})
            beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(beyond) <= 0, f"wider than {width}"
            for big in await page.locator(".big > span").all():
                lines = "one => one.getClientRects().length"
                assert await big.evaluate(lines) == 1, f"a number is broken at {width}"


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
        assert await tabs[-1].evaluate(ELEVENTH) == 200
        await tabs.pop(0).close()  # the one that reads for all
        for number, tab in enumerate(tabs):
            await settled(tab, api, world, rng)
            assert len(streams) == 2, number
