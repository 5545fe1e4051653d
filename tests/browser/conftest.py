"""A real browser: the system's Chromium, driven by Playwright. Where there is none, tests are skipped."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tally.agents.clock import unix_ms
from tally.streams.keys.sessions import Sessions
from tally.streams.web.cookies import COOKIE
from tests.support.keys import PRESENTED
from tests.support.web_api import SECRET

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT_MS = 20_000
"""How long a page may take for what no test bounds: a busy machine is no fault of it."""

expect.set_options(timeout=WAIT_MS)


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
    """Open a page whose browser has logged in with the key of tests."""
    async with _watched(browser, is_logged_in=True) as opened:
        yield opened


@pytest_asyncio.fixture
async def visitor(browser: Browser) -> AsyncIterator[Page]:
    """Open a page in which nobody has logged in yet."""
    async with _watched(browser, is_logged_in=False) as opened:
        yield opened


async def log_in(context: BrowserContext) -> None:
    """Let a browser have logged in with the key of tests."""
    token = Sessions([SECRET]).token(PRESENTED.key_id, unix_ms())
    await context.add_cookies([{"name": COOKIE, "value": token, "domain": "127.0.0.1", "path": "/"}])


@asynccontextmanager
async def _watched(browser: Browser, *, is_logged_in: bool) -> AsyncIterator[Page]:
    """Open a page in which an error, a dialog, a refused script or a request to elsewhere fails the test."""
    context = await browser.new_context(timezone_id="Asia/Kathmandu", color_scheme="dark")
    if is_logged_in:
        await log_in(context)
    wrong: list[str] = []

    def watch(opened: Page) -> None:
        opened.set_default_timeout(WAIT_MS)
        opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        opened.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        opened.on("console", lambda line: wrong.append(f"console: {line.text}") if _is_wrong(line) else None)
        opened.on(
            "request", lambda one: None if "://127.0.0.1:" in one.url else wrong.append(f"to {one.url}")
        )

    context.on("page", watch)
    opened = await context.new_page()
    yield opened
    await context.close()
    assert not wrong


def _is_wrong(line: ConsoleMessage) -> bool:
    # A browser's own line about an answer that is no 200, or none, is no fault of the page.
    return line.type == "error" and not line.text.startswith("Failed to load resource")
