"""A real browser: the system's Chromium, driven by Playwright. Where there is none, tests are skipped."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.support.keys import PRESENTED

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT_MS = 20_000


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """Run the system's Chromium."""
    if CHROMIUM is None:
        pytest.skip("no browser: install the package chromium")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield running
        finally:
            await running.close()


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open a page in which an error, a dialog, a refused script or a request to elsewhere fails the test."""
    context = await browser.new_context(timezone_id="Asia/Kathmandu", color_scheme="dark")
    # As if somebody had typed it.
    await context.add_init_script(f"sessionStorage.setItem('tally.key', '{PRESENTED.text}')")
    opened = await context.new_page()
    opened.set_default_timeout(WAIT_MS)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    opened.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    opened.on("console", lambda line: wrong.append(f"console: {line.text}") if _is_wrong(line) else None)
    opened.on("request", lambda one: None if "://127.0.0.1:" in one.url else wrong.append(f"to {one.url}"))
    yield opened
    await context.close()
    assert not wrong


def _is_wrong(line: ConsoleMessage) -> bool:
    # A browser's own line about an answer that is no 200, or none, is no fault of the page.
    return line.type == "error" and not line.text.startswith("Failed to load resource")
