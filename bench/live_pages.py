"""How soon a page shows its numbers, and what drawing them costs a browser, by the browser's own marks."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from statistics import median
from urllib.parse import quote

from msgspec import Struct
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright

from bench.live_world import Served, served
from tests.browser.conftest import CHROMIUM, log_in
from tests.support.page_worlds import TENANT

ASKED = f"tenant={quote(TENANT, safe='')}"
WHATSAPP, VOICE = "campaign%20006", "campaign%20007"
PAGES: Mapping[str, tuple[str, str]] = {
    "campaigns": (f"/?{ASKED}", "[data-campaign] [data-number]"),
    "WhatsApp": (f"/c/{WHATSAPP}?{ASKED}", ".step [data-number]"),
    "voice": (f"/c/{VOICE}?{ASKED}", ".step [data-number]"),
    "compare": (f"/compare?{ASKED}&a={WHATSAPP}&b=campaign%20008", ".compared [data-number]"),
    "wall": (f"/wall?{ASKED}", "[data-operator]"),
    "proof": (f"/proof?{ASKED}", ".partitions [data-number]"),
    "API": (f"/api?{ASKED}", ".example"),
}
"""Each page's address, and what stands on it once its numbers do."""
SEEN = """selector => {
    window.seen = new Promise(resolve => {
        const watching = new MutationObserver(() => {
            if (!document.querySelector(selector)) return;
            watching.disconnect();
            // A frame is painted between its animation callbacks and the tasks after them.
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
        });
        watching.observe(document, {subtree: true, childList: true});
    });
}"""
MARKS = """async () => {
    const seenMs = await window.seen;
    const painted = () => performance.getEntriesByName("first-contentful-paint")[0];
    while (!painted()) await new Promise(resolve => setTimeout(resolve, 10));
    return {seenMs, paintedMs: painted().startTime};
}"""
COUNTED = """() => {
    window.drawn = 0;
    new PerformanceObserver(list => { window.drawn += list.getEntriesByName("tally-render").length; })
        .observe({entryTypes: ["measure"]});
}"""
DRAWN = "window.drawn"
WORK = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
PAGE_SECONDS = 20.0


class View(Struct, frozen=True):
    """When a page showed something, and when its numbers, in milliseconds since somebody asked for it."""

    painted_ms: float
    seen_ms: float


class Plan(Struct, frozen=True):
    """How often pages are opened, how long they are watched, and what that may cost."""

    campaigns: int = 40
    openings: int = 9
    most_ms: float = 300.0
    drawn_campaigns: int = 500
    """With which there are 200 operators too."""
    drawn_seconds: int = 30
    most_drawn_ms: float = 16.0


async def measure_first_views(plan: Plan) -> dict[str, list[View]]:
    """Return of each page its first views: an empty cache each, a running browser, a server that runs."""
    async with _browser(plan.campaigns) as (browser, world):
        found: dict[str, list[View]] = {name: [] for name in PAGES}
        for nth in range(1 + plan.openings):
            for name, (path, selector) in PAGES.items():
                async with asyncio.timeout(PAGE_SECONDS):
                    view = await _first_view(browser, f"http://127.0.0.1:{world.port}{path}", selector)
                if nth:  # the first round makes the browser and the server warm
                    found[name].append(view)
        return found


async def _first_view(browser: Browser, url: str, selector: str) -> View:
    async with _page(browser) as (page, _):
        await page.add_init_script(f"({SEEN})({selector!r})")
        await page.goto(url)
        marks = await page.evaluate(MARKS)
        return View(marks["paintedMs"], marks["seenMs"])


async def measure_drawing(plan: Plan) -> dict[str, float]:
    """Return of each page the median of its frames: milliseconds of scripting, styling and layout."""
    async with _browser(plan.drawn_campaigns) as (browser, world):
        return {
            name: await _drawing(
                browser, f"http://127.0.0.1:{world.port}{PAGES[name][0]}", PAGES[name][1], plan
            )
            for name in ("campaigns", "wall")
        }


async def _drawing(browser: Browser, url: str, selector: str, plan: Plan) -> float:
    async with _page(browser) as (page, session), asyncio.timeout(2 * PAGE_SECONDS + 3 * plan.drawn_seconds):
        await session.send("Performance.enable")
        await page.goto(url)
        await page.locator(selector).first.wait_for()
        await page.evaluate(COUNTED)
        each = []
        drawn, work_s = await _marks(page, session)
        # The first seconds compile what is run again and again.
        for second in range(5 + plan.drawn_seconds):
            await asyncio.sleep(1.0)
            before = drawn, work_s
            drawn, work_s = await _marks(page, session)
            if second >= 5 and drawn > before[0]:
                each.append(1_000 * (work_s - before[1]) / (drawn - before[0]))
        return median(each)


async def _marks(page: Page, session: CDPSession) -> tuple[int, float]:
    """Return how many frames were drawn, and what the browser has worked for the page."""
    drawn = int(await page.evaluate(DRAWN))
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return drawn, sum(one["value"] for one in metrics if one["name"] in WORK)


@asynccontextmanager
async def _browser(campaigns: int) -> AsyncIterator[tuple[Browser, Served]]:
    async with served(campaigns) as world, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser, world
        finally:
            await browser.close()


@asynccontextmanager
async def _page(browser: Browser) -> AsyncIterator[tuple[Page, CDPSession]]:
    """Open a page whose browser has logged in and keeps nothing else."""
    context: BrowserContext = await browser.new_context()
    try:
        await log_in(context)
        page = await context.new_page()
        yield page, await context.new_cdp_session(page)
    finally:
        await context.close()
