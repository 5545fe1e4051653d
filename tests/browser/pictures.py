"""Pictures of the pages with made-up campaigns.

`python -m tests.browser.pictures` writes those of docs/pages anew. With a folder it looks at each page at
three widths, in both schemes, with 0, 1, 10 and 500 campaigns, and with counts of billions.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlencode

from msgspec import Struct
from playwright.async_api import Page, async_playwright

from tally.agents.clock import unix_ms
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.rates.reading import read_card
from tally.streams.operations import rates
from tests.browser.conftest import CHROMIUM, log_in
from tests.support.page_cells import CARD, Sunk
from tests.support.page_reports import report
from tests.support.page_worlds import HOSTILE, ODD, PLAIN, TENANT, Names, fill, move
from tests.support.servers import execute
from tests.support.web_api import Api, serving

DOCS = Path(__file__).parents[2] / "docs" / "pages"
WIDTHS, SCHEMES = (360, 820, 1440), ("light", "dark")
WHATSAPP, VOICE = "campaign 006", "campaign 007"
MANY = 100
"""Campaigns of which Postgres is not told: it would take minutes."""
SHOWN_MS = 4_000
"""For panels and charts, which are asked for once the page is there."""
LOG_IN = "/"
Shot = tuple[str, str, int, str]
"""Name, address, width and scheme."""


class Looked(Struct, frozen=True):
    """A world to look at."""

    campaigns: int
    names: Names = ODD
    times: int = 1


WORLDS = {
    "0": Looked(0),
    "1": Looked(1),
    "10": Looked(10),
    "500": Looked(500),
    "billions": Looked(10, PLAIN, 50_000),
}
DOCUMENTED = Looked(40, PLAIN)


def address(path: str, **query: str) -> str:
    return f"{path}?{urlencode({'tenant': TENANT, **query})}"


def pages(looked: Looked) -> dict[str, str]:
    """The pages to look at, by name."""
    found = {"campaigns": address("/"), "wall": address("/wall"), "proof": address("/proof")}
    found |= {"api": address("/api"), "log-in": LOG_IN}
    if looked.campaigns:
        one = "campaign 000" if looked.campaigns < 10 else WHATSAPP
        found["whatsapp"] = address(f"/c/{quote(one)}")
        found["compare"] = address("/compare", a=one, b="campaign 008" if looked.campaigns >= 10 else one)
    if looked.campaigns >= 10:
        found["voice"] = address(f"/c/{quote(VOICE)}")
    if looked.campaigns >= 10 and looked.names is ODD:
        found["hostile"] = address(f"/c/{quote(HOSTILE[0], safe='')}")
        found["long"] = address(f"/c/{quote(HOSTILE[3], safe='')}")
    return found


def everything(name: str) -> Iterator[Shot]:
    for page, path in pages(WORLDS[name]).items():
        for width in WIDTHS:
            for scheme in SCHEMES:
                yield f"{page}-{name}-{width}-{scheme}", path, width, scheme


def documented(_: str) -> Iterator[Shot]:
    """The pictures of docs/pages."""
    found = pages(DOCUMENTED)
    for name, page, scheme in (
        ("campaign", "whatsapp", "light"),
        ("campaigns", "campaigns", "dark"),
        ("voice", "voice", "light"),
        ("compare", "compare", "dark"),
        ("wall", "wall", "dark"),
        ("proof", "proof", "light"),
        ("api", "api", "light"),
        ("log-in", "log-in", "light"),
    ):
        yield name, found[page], 1240, scheme


@asynccontextmanager
async def world(dsn: str, looked: Looked) -> AsyncIterator[Api]:
    """Serve a world, as of now."""
    migrate.up(dsn)
    await rates.load(dsn, read_card(CARD))
    rng = random.Random(20)
    async with serving(debug=False, dsn=dsn) as api, asyncio.TaskGroup() as tasks:
        api.now_ms = unix_ms()
        made = fill(api.view, rng, looked.campaigns, api.now_ms, looked.names, looked.times)
        if looked.campaigns:
            move(api.view, made, rng, api.now_ms)
            report(api, audit="db-1:6068" if looked.names is PLAIN else HOSTILE[0])
        if looked.campaigns < MANY:
            await Sunk(dsn, 60).write(made)
        api.catch_up_to(made.transaction)
        counting = tasks.create_task(_count(api))
        yield api
        counting.cancel()


async def _count(api: Api) -> None:
    while True:
        api.note_counted()
        api.lag.note_facts_ends({0: 12, 1: 11})
        await asyncio.sleep(0.2)


async def shoot(page: Page, api: Api, shot: Shot, folder: Path, *, is_whole: bool) -> None:
    name, path, width, scheme = shot
    await page.set_viewport_size({"width": width, "height": 1000})
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    await page.goto(f"http://127.0.0.1:{api.port}{path}")
    await page.wait_for_timeout(1_000 if path == LOG_IN else SHOWN_MS)
    target = folder / f"{name}.png"
    await page.screenshot(path=target, full_page=is_whole)


async def main(folder: Path | None, chosen: tuple[str, ...]) -> None:
    with TemporaryDirectory() as scratch:
        server = LocalPostgres.start(Path(scratch), port=0)
        try:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                context, stranger = [
                    await browser.new_context(timezone_id="Europe/Amsterdam") for _ in range(2)
                ]
                await log_in(context)
                page, outside = await context.new_page(), await stranger.new_page()
                for name, looked in WORLDS.items() if folder else [("docs", DOCUMENTED)]:
                    found = everything(name) if folder else documented(name)
                    shots = [one for one in found if all(part in one[0] for part in chosen)]
                    if not shots:
                        continue
                    await execute(server.dsn, f"CREATE DATABASE world_{name}")
                    dsn = f"{server.dsn.rpartition('/')[0]}/world_{name}"
                    async with world(dsn, looked) as api:
                        for shot in shots:
                            seen_by = outside if shot[1] == LOG_IN else page
                            await shoot(seen_by, api, shot, folder or DOCS, is_whole=folder is not None)
                await browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else None, tuple(sys.argv[2:])))
