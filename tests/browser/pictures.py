"""Pictures of the pages with made-up campaigns.

`python -m tests.browser.pictures` writes those of docs/pages anew. With a folder it looks at each page at
three widths, in both schemes, with 0, 1, 10 and 500 campaigns.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlencode

from playwright.async_api import Page, async_playwright

from tally.agents.clock import unix_ms
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.rates.reading import read_card
from tally.streams.operations import rates
from tests.browser.conftest import CHROMIUM, log_in
from tests.support.page_cells import CARD, Sunk
from tests.support.page_worlds import HOSTILE, TENANT, fill, move
from tests.support.servers import execute
from tests.support.web_api import Api, serving

DOCS = Path(__file__).parents[2] / "docs" / "pages"
WIDTHS, SCHEMES, NUMBERS = (390, 820, 1240), ("light", "dark"), (0, 1, 10, 500)
WHATSAPP, VOICE = "campaign 006", "campaign 007"
MANY = 100
"""Campaigns of which Postgres is not told: it would take minutes."""
SHOWN_MS = 4_000
"""For panels and charts, which are asked for once the page is there."""
Shot = tuple[str, str, int, str]
"""Name, address, width and scheme."""


def address(path: str, **query: str) -> str:
    return f"{path}?{urlencode({'tenant': TENANT, **query})}"


def pages(number: int) -> dict[str, str]:
    """The pages to look at, by name."""
    found = {"campaigns": address("/"), "wall": address("/wall")}
    if number:
        one = "campaign 000" if number < 10 else WHATSAPP
        found["whatsapp"] = address(f"/c/{quote(one)}")
        found["compare"] = address("/compare", a=one, b="campaign 008" if number >= 10 else one)
    if number >= 10:
        found["voice"] = address(f"/c/{quote(VOICE)}")
        found["hostile"] = address(f"/c/{quote(HOSTILE[0], safe='')}")
    return found


def everything(number: int) -> Iterator[Shot]:
    for name, path in pages(number).items():
        for width in WIDTHS:
            for scheme in SCHEMES:
                yield f"{name}-{number}-{width}-{scheme}", path, width, scheme


def documented() -> Iterator[Shot]:
    """The pictures of docs/pages; that of the wallboard is made beside its test."""
    found = pages(10)
    for name, page, scheme in (
        ("campaign", "whatsapp", "light"),
        ("campaigns", "campaigns", "dark"),
        ("voice", "voice", "light"),
        ("compare", "compare", "dark"),
    ):
        yield name, found[page], 1240, scheme


@asynccontextmanager
async def world(dsn: str, number: int) -> AsyncIterator[Api]:
    """Serve so many campaigns, as of now."""
    migrate.up(dsn)
    await rates.load(dsn, read_card(CARD))
    rng = random.Random(20)
    async with serving(debug=False, dsn=dsn) as api:
        api.now_ms = unix_ms()
        made = fill(api.view, rng, number, api.now_ms)
        if number:
            move(api.view, made, rng, api.now_ms)
        if number < MANY:
            await Sunk(dsn, 60).write(made)
        api.catch_up_to(made.transaction)
        yield api


async def shoot(page: Page, api: Api, shot: Shot, folder: Path, *, is_whole: bool) -> None:
    name, path, width, scheme = shot
    await page.set_viewport_size({"width": width, "height": 1000})
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    await page.goto(f"http://127.0.0.1:{api.port}{path}")
    await page.wait_for_timeout(SHOWN_MS)
    api.catch_up_to(2)
    await page.screenshot(path=folder / f"{name}.png", full_page=is_whole)


async def main(folder: Path | None, chosen: tuple[str, ...]) -> None:
    with TemporaryDirectory() as scratch:
        server = LocalPostgres.start(Path(scratch), port=0)
        try:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                context = await browser.new_context(timezone_id="Europe/Amsterdam")
                await log_in(context)
                page = await context.new_page()
                for number in NUMBERS if folder else (40,):
                    found = everything(number) if folder else documented()
                    shots = [one for one in found if all(part in one[0] for part in chosen)]
                    if not shots:
                        continue
                    await execute(server.dsn, f"CREATE DATABASE world_{number}")
                    dsn = f"{server.dsn.rpartition('/')[0]}/world_{number}"
                    async with world(dsn, number) as api:
                        for shot in shots:
                            await shoot(page, api, shot, folder or DOCS, is_whole=folder is not None)
                await browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else None, tuple(sys.argv[2:])))
