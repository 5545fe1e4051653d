"""What holds of each page: it says what is away or refused, runs nothing of others, fits, and lasts."""

import random
import re
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.browser.reading import TENANT_PATH, path_of, show, shown, whole_page
from tests.support.page_worlds import TENANT, fill
from tests.support.web_api import serving

pytestmark = pytest.mark.alone  # what a page shows is awaited by the browser's clock

CAMPAIGN, OTHER = "campaign 006", "campaign 008"
VOICE = "campaign 007"
LIST, WALL, COMPARE = "/", "/wall", "/compare"
EVERY = (LIST, path_of(CAMPAIGN), path_of(VOICE), COMPARE, WALL, "/proof", "/api")
INTRUDE = """async () => {
    const refused = [];
    document.addEventListener("securitypolicyviolation", event => refused.push(event.effectiveDirective));
    const image = new Image();
    image.src = "http://127.0.0.2:1/";
    document.body.setAttribute("style", "color: red");
    try { document.body.innerHTML = "<b>text</b>"; } catch (error) { refused.push(error.name); }
    await new Promise(resolve => setTimeout(resolve, 100));
    return refused;
}"""
OVERLAPS = """() => {
    const main = document.querySelector("main");
    const clip = (one, box) => {
        for (let around = one; around !== main; around = around.parentElement) {
            if (getComputedStyle(around).overflowX === "visible") continue;
            const edge = around.getBoundingClientRect();
            box = {...box, left: Math.max(box.left, edge.left), right: Math.min(box.right, edge.right)};
        }
        return box;
    };
    const texts = [];
    const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode;
        const isHidden = node.parentElement.closest("select, .unseen, details:not([open]) > ul") !== null;
        if (isHidden || !node.data.trim()) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const {left, right, top, bottom} of range.getClientRects()) {
            const box = clip(node.parentElement, {left, right, top, bottom});
            if (box.right - box.left > 1) texts.push([node, box]);
        }
    }
    // A line's box is higher than its letters.
    const apart = (a, b) => a.right - 2 <= b.left || a.bottom - 6 <= b.top;
    return texts.flatMap(([node, a], index) => texts.slice(index + 1)
        .filter(([other, b]) => other !== node && !apart(a, b) && !apart(b, a))
        .map(([other]) => [node.data, other.data]));
}"""
FRAMES = 200
DRAW = """async ({url, frames}) => {
    const channel = new BroadcastChannel(`tally ${url}`);
    const whole = await new Promise(resolve => {
        channel.onmessage = ({data}) => data.event === "snapshot" && resolve(data);
        channel.postMessage({event: "hello"});
    });
    let drawn = 0;
    const count = list => { drawn += list.getEntriesByName("tally-render").length; };
    const watching = new PerformanceObserver(count);
    watching.observe({entryTypes: ["measure"]});
    const {campaign, receipt, progress} = whole.body;
    for (let more = 1; more <= frames; more += 1) {
        const totals = {...campaign.totals, attempts: campaign.totals.attempts + more, contacts: more};
        const body = {campaign: {...campaign, totals}, receipt, progress};
        channel.postMessage({event: "change", body, id: whole.id, agoMs: 0});
        await new Promise(resolve => setTimeout(resolve, 5));
    }
    await new Promise(resolve => setTimeout(resolve, 100));
    channel.close();
    watching.disconnect();
    return drawn;
}"""


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20)


@pytest.mark.asyncio
async def test_each_page_says_at_once_that_its_server_is_away_and_recovers_by_itself(
    page: Page, rng: random.Random
) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        api.lag.note_facts_ends({0: 20, 1: 20})
        tabs = [page, *[await page.context.new_page() for _ in EVERY[1:]]]
        for tab, path in zip(tabs, EVERY, strict=True):
            await show(tab, api, path, a=CAMPAIGN, b=OTHER)
        for tab in tabs:
            await expect(tab.locator("html")).to_have_attribute("data-state", "exact")
            await whole_page(tab)
        before = [await shown(tab) for tab in tabs]
    for tab in tabs:
        await expect(tab.locator(".pill")).to_have_text(re.compile(r"no news for \d+ s"), timeout=3_500)
    assert [await shown(tab) for tab in tabs] == before, "the last numbers stay"
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("alert")).to_contain_text("you are still logged in")
    async with serving(debug=False, port=api.port) as again:
        fill(again.view, random.Random(20), 10, api.now_ms)
        again.catch_up_to(world.transaction)
        again.lag.note_facts_ends({0: 20, 1: 20})
        for tab in tabs:
            await expect(tab.locator("html")).to_have_attribute("data-state", "exact")
        assert [await shown(tab) for tab in tabs] == before


@pytest.mark.asyncio
async def test_what_the_api_refuses_is_said(page: Page) -> None:
    async with serving(debug=False) as api:
        for path in EVERY:
            await page.goto(f"http://127.0.0.1:{api.port}{path}?tenant={'x' * 129}")
            await expect(page.locator("main")).to_contain_text("tenant must have 1 to 128 characters")
        api.catch_up()
        await page.goto(f"http://127.0.0.1:{api.port}/c/%zz?tenant=t1")
        await expect(page.locator("main")).to_contain_text("Nothing is counted yet")
        await page.goto(f"http://127.0.0.1:{api.port}/")
        await page.get_by_label("Tenant").fill(TENANT)
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("Nothing is counted")


@pytest.mark.asyncio
async def test_what_is_not_a_file_of_ours_neither_runs_nor_is_asked_for(page: Page) -> None:
    browser = page.context.browser
    assert browser is not None
    async with serving(debug=False) as api, await browser.new_context() as unwatched:
        api.catch_up()
        stranger = await unwatched.new_page()
        await show(stranger, api, LIST)
        refused = await stranger.evaluate(INTRUDE)
        assert {*refused} >= {"img-src", "style-src-attr", "require-trusted-types-for", "TypeError"}


@pytest.mark.asyncio
async def test_counts_of_billions_stand_beside_each_other(page: Page, rng: random.Random) -> None:
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms, times=50_000)
        api.catch_up_to(world.transaction)
        for path in (LIST, COMPARE, path_of(CAMPAIGN), path_of(VOICE)):
            await show(page, api, path, a=CAMPAIGN, b=OTHER)
            await expect(page.locator("[data-number]").first).to_be_visible()
            await whole_page(page)
            assert max(value for _, _, value in await shown(page)) > 1_000_000_000
            for width in (360, 820, 1240):
                await page.set_viewport_size({"width": width, "height": 800})
                assert await page.evaluate(OVERLAPS) == [], f"{path} at {width}"


@pytest.mark.asyncio
async def test_a_page_that_draws_for_hours_keeps_no_node_and_no_listener(
    page: Page, rng: random.Random
) -> None:
    """`make live-figures` measures the heap of 8 hours of frames."""
    await page.emulate_media(reduced_motion="reduce")
    await page.add_init_script("window.requestAnimationFrame = callback => setTimeout(callback)")
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 10, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, path_of(CAMPAIGN))
        await expect(page.locator("[data-number]").first).to_be_visible()
        await whole_page(page)
        session = await page.context.new_cdp_session(page)
        asked = {"url": f"{TENANT_PATH}/stream?campaign={quote(CAMPAIGN)}", "frames": FRAMES}
        held = []
        for _ in range(3):
            drawn = await page.evaluate(DRAW, asked)
            assert drawn > 0.9 * FRAMES
            await session.send("HeapProfiler.collectGarbage")
            counters = await session.send("Memory.getDOMCounters")
            held.append((counters["nodes"], counters["jsEventListeners"]))
        assert held[1] == held[2]
