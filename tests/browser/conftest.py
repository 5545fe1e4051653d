"""A real browser: the system's Chromium, driven by Playwright. Where there is none, tests are skipped.

It is started once for all tests of a process, which takes longer than most of them. Each test has a context
of its own, with cookies, storage and cache that no other sees. A client of it lives in one event loop, so all
tests of pages run in one as well.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    BrowserType,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from tally.agents.clock import unix_ms
from tally.streams.keys.sessions import Sessions
from tally.streams.web.cookies import COOKIE
from tests.support.keys import PRESENTED
from tests.support.web_api import SECRET

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT_MS = 20_000
"""How long a page may take for what no test bounds: a busy machine is no fault of it."""

expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of pages in the loop of the browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("asyncio") is not None:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Chromium:
    """The browser of this process: started by the first test, and again after one in which it has ended."""

    def __init__(self, kind: BrowserType) -> None:
        self._kind = kind
        self._running: Browser | None = None

    async def running(self) -> Browser:
        if self._running is None or not self._running.is_connected():
            self._running = await self._kind.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        return self._running

    async def close(self) -> None:
        if self._running is not None:
            await self._running.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    """Connect to the system's Chromium."""
    if CHROMIUM is None:
        pytest.skip("no browser: install the package chromium")
    async with async_playwright() as playwright:
        made = Chromium(playwright.chromium)
        try:
            yield made
        finally:
            await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Chromium) -> Browser:
    """Return the running browser."""
    return await chromium.running()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open a page whose browser has logged in with the key of tests."""
    async with _watched(browser, is_logged_in=True) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
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
    try:
        yield await context.new_page()
    finally:
        await context.close()
    assert not wrong


def _is_wrong(line: ConsoleMessage) -> bool:
    # A browser's own line about an answer that is no 200, or none, is no fault of the page.
    return line.type == "error" and not line.text.startswith("Failed to load resource")
