"""How much the heap of a page grows in hours of frames, which come as fast as the page draws them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from msgspec import Struct
from playwright.async_api import CDPSession, Page, async_playwright

from tally.agents.clock import unix_ms
from tests.browser.conftest import CHROMIUM, log_in
from tests.support.page_worlds import TENANT, fill, move
from tests.support.web_api import Api, serving

COUNTED = """() => {
    window.drawn = 0;
    new PerformanceObserver(list => { window.drawn += list.getEntriesByName("tally-render").length; })
        .observe({entryTypes: ["measure"]});
}"""
DRAWN = "window.drawn"
LOOK_SECONDS = 1.0


class Heap(Struct, frozen=True):
    """A page that is left open: how many frames it draws, and how much its heap may grow meanwhile."""

    hours: float = 8.0
    warm_up_frames: int = 1_500
    """Until a browser has compiled what it runs again and again."""
    frames_per_second: float = 50.0
    campaigns: int = 40
    most_megabytes: float = 5.0

    @property
    def frames(self) -> int:
        """One a second."""
        return round(self.hours * 3_600)


async def measure_heap(asked: Heap, path: str) -> float:
    """Return by how many megabytes the heap of a page grows. Raises TimeoutError where it stands still."""
    tick_seconds = 1 / asked.frames_per_second
    async with (
        serving(debug=False, tick_seconds=tick_seconds) as api,
        _moving(api, asked),
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context()
        await log_in(context)
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{api.port}{path}?tenant={quote(TENANT, safe='')}")
        session = await context.new_cdp_session(page)
        await page.evaluate(COUNTED)
        await _drawn(page, asked.warm_up_frames, asked)
        before = await _used_bytes(session)
        await _drawn(page, asked.warm_up_frames + asked.frames, asked)
        after = await _used_bytes(session)
        await browser.close()
    return (after - before) / 1e6


async def _drawn(page: Page, frames: int, asked: Heap) -> None:
    async with asyncio.timeout(10 * frames / asked.frames_per_second + 60):
        while await page.evaluate(DRAWN) < frames:
            await asyncio.sleep(LOOK_SECONDS)


async def _used_bytes(session: CDPSession) -> float:
    """Return what is left of the heap after all that nobody holds is collected."""
    for _ in range(3):
        await session.send("HeapProfiler.collectGarbage")
    return float((await session.send("Runtime.getHeapUsage"))["usedSize"])


@asynccontextmanager
async def _moving(api: Api, asked: Heap) -> AsyncIterator[None]:
    """Let some templates count more before each frame."""
    rng = random.Random(20)
    world = fill(api.view, rng, asked.campaigns, unix_ms())

    async def moving() -> None:
        while True:
            api.now_ms = unix_ms()
            move(api.view, world, rng, api.now_ms)
            api.catch_up_to(world.transaction)
            await asyncio.sleep(1 / asked.frames_per_second)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(moving())
        yield
        task.cancel()
