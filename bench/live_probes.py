"""Probes that are followed to the frame at a bare client of the stream, or to the number on a page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from playwright.async_api import async_playwright

from bench.probes import TENANT, Pace, Prober, note
from tally.streams.web.cookies import COOKIE
from tests.browser.conftest import CHROMIUM
from tests.support.events import stream
from tests.support.keys import PRESENTED

SHOWS = """() => {
  const said = new Map();
  const look = () => {
    for (const one of document.querySelectorAll("[data-template] [data-number=accepted]")) {
      const [name] = JSON.parse(one.closest("[data-template]").dataset.template);
      const value = Number(one.textContent.replaceAll(",", ""));
      if (said.get(name) === value) continue;
      said.set(name, value);
      window.shown(name, value);
    }
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  look();
}"""


class StreamProber(Prober):
    """Follows probes to the frame in which a bare client reads them."""

    @asynccontextmanager
    async def _polling(self, pace: Pace) -> AsyncIterator[None]:
        port = urlsplit(self._worker.url).port or 80
        async with stream(port, f"/v1/tenants/{TENANT}/stream?campaign={pace.campaign}") as viewer:

            async def read() -> None:
                while True:
                    shown = (await viewer.next()).body.get("campaign")
                    if shown is not None:
                        found = {
                            one["template"]["name"]: one["counters"]["accepted"] for one in shown["templates"]
                        }
                        note(self._tracks[pace.campaign], found)

            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(read())
                yield
                reading.cancel()


class PageProber(Prober):
    """Follows probes to the moment at which the browser's page has their number."""

    @asynccontextmanager
    async def _polling(self, pace: Pace) -> AsyncIterator[None]:
        cookie = await self._log_in()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            context = await browser.new_context()
            await context.add_cookies([{"name": COOKIE, "value": cookie, "url": self._worker.url}])
            page = await context.new_page()
            await page.expose_function(
                "shown", lambda name, value: note(self._tracks[pace.campaign], {name: value})
            )
            await page.goto(f"{self._worker.url}/c/{pace.campaign}?tenant={TENANT}")
            await page.wait_for_function("document.documentElement.dataset.state !== undefined")
            await page.evaluate(SHOWS)
            try:
                yield
            finally:
                await browser.close()

    async def _log_in(self) -> str:
        headers = {"Origin": self._worker.url}
        body = {"key": PRESENTED.text}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{self._worker.url}/v1/session", json=body) as response,
        ):
            assert response.status == 200, await response.text()
            return response.cookies[COOKIE].value
