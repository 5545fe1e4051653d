"""Pages that stay open: clocks that are off, laptops that sleep, workers that come and go; no way back."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from tally.schemas.grains import RowKey
from tests.browser.reading import path_of, show
from tests.support.events import proxy
from tests.support.page_worlds import TENANT
from tests.support.view_rows import PROMO, put, put_progress
from tests.support.web_api import Api, serving

pytestmark = pytest.mark.alone  # what a page shows is awaited by the browser's clock

CAMPAIGN = path_of("c1")
ATTEMPTS = "[data-number=attempts]"
SKEWED = """
const skew = %d;
const now = Date.now.bind(Date);
Date = class extends Date {
    constructor(...given) { given.length ? super(...given) : super(now() + skew); }
    static now() { return now() + skew; }
};
"""
WATCH = """() => {
    window.watched = [];
    const look = () => {
        const shown = document.querySelector("[data-number=attempts]");
        const value = shown && Number(shown.textContent.replaceAll(",", ""));
        if (shown && window.watched.at(-1) !== value) window.watched.push(value);
    };
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
    look();
}"""
HOUR_MS = 3_600_000
JOIN = """async tenant => {
    const {Live} = await import(document.querySelector("script").src.replace("main.js", "live.js"));
    const live = new Live(tenant, "campaign=c1", () => {});
    live.start();
    await new Promise(resolve => setTimeout(resolve, 500));
    return [live.silentMs(), live.campaign?.campaign];
}"""


def count(api: Api, transaction: int, *, whole: bool = True) -> None:
    """Let a worker read a transaction in which the attempts become its number; or all but its progress."""
    put(api.view, RowKey(TENANT, "c1", PROMO), {"attempts": transaction}, next_offset=transaction)
    if whole:
        put_progress(api.view, 0, transaction, seq=transaction)


@asynccontextmanager
async def fresh(*workers: Api) -> AsyncIterator[None]:
    """Let workers count everything at once, as they do while nothing is wrong."""

    async def keep() -> None:
        while True:
            for api in workers:
                api.note_counted()
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keep())
        yield
        keeping.cancel()


async def shows(page: Page, number: int) -> None:
    await expect(page.locator(ATTEMPTS).first).to_have_text(f"{number:,}")


async def is_live(page: Page) -> None:
    await expect(page.locator("html")).to_have_attribute("data-state", "exact")


@pytest.mark.asyncio
@pytest.mark.parametrize("hours", [-31, 5])
async def test_a_browser_whose_clock_is_hours_off_shows_true_ages(page: Page, hours: int) -> None:
    await page.add_init_script(SKEWED % (hours * HOUR_MS))
    async with serving(debug=False, partitions=1) as api, fresh(api):
        api.catch_up()
        count(api, 7)
        await show(page, api, CAMPAIGN)
        await is_live(page)
        await shows(page, 7)
        await expect(page.locator(".pill")).to_have_text(re.compile(r"exact as of [\d:]+ · [0-2]\.\d s"))


@pytest.mark.asyncio
async def test_a_page_that_was_asleep_says_so_and_goes_on_where_the_numbers_are(page: Page) -> None:
    async with serving(debug=False, partitions=1) as api, fresh(api):
        api.catch_up()
        count(api, 7)
        await show(page, api, CAMPAIGN)
        await is_live(page)
        session = await page.context.new_cdp_session(page)
        # A laptop whose lid is closed: no timer runs, and its clock goes on.
        await session.send("Page.setWebLifecycleState", {"state": "frozen"})
        await asyncio.sleep(6)
        count(api, 9)
        await session.send("Page.setWebLifecycleState", {"state": "active"})
        await is_live(page)
        await shows(page, 9)
        await expect(page.locator(".pill")).to_have_text(re.compile(r"· [0-2]\.\d s"))


@pytest.mark.asyncio
async def test_a_killed_worker_shows_within_3_s_and_its_successor_without_a_reload(page: Page) -> None:
    async with (
        serving(debug=False, partitions=1) as one,
        serving(debug=False, partitions=1) as other,
        proxy(one.port) as between,
        fresh(one, other),
    ):
        for api in (one, other):
            api.catch_up()
            count(api, 7)
        await show_at(page, between.port)
        await is_live(page)
        between.lead_to()
        await expect(page.locator(".pill")).to_have_text(re.compile(r"no news for \d+ s"), timeout=3_500)
        await expect(page.locator("html")).to_have_attribute("data-state", "lost")
        await shows(page, 7)
        between.lead_to(other.port)
        count(other, 8)
        await is_live(page)
        await shows(page, 8)


@pytest.mark.asyncio
async def test_two_workers_behind_one_address_are_restarted_in_turn_and_no_number_goes_back(
    page: Page,
) -> None:
    newest = 1_000
    async with (
        serving(debug=False, partitions=1) as one,
        serving(debug=False, partitions=1) as other,
        proxy(one.port) as between,
        fresh(one, other),
    ):
        one.catch_up()
        count(one, newest)
        await show_at(page, between.port)
        await shows(page, newest)
        await page.evaluate(WATCH)
        for here in (other, one) * 2:
            # The successor has only begun to read, and is thousands of facts behind.
            here.catch_up()
            count(here, newest - 900)
            between.lead_to(here.port)
            await expect(page.locator(".pill")).to_have_text(re.compile("catching up"))
            await shows(page, newest)
            count(here, newest - 1)
            count(here, newest)
            await is_live(page)
            newest += 1_000
            count(here, newest)
            await shows(page, newest)
        watched = await page.evaluate("window.watched")
        assert watched == sorted(watched)
        assert watched[-1] == newest


@pytest.mark.asyncio
async def test_a_raised_generation_is_shown_and_its_former_one_never_again(page: Page) -> None:
    async with (
        serving(debug=False, partitions=1, generation=3) as former,
        serving(debug=False, partitions=1, generation=4) as raised,
        proxy(former.port) as between,
        fresh(former, raised),
    ):
        former.catch_up()
        count(former, 1_000)
        await show_at(page, between.port)
        await shows(page, 1_000)
        # Counted anew from the beginning, so it may show less at first.
        raised.catch_up()
        count(raised, 400)
        between.lead_to(raised.port)
        await shows(page, 400)
        count(raised, 401)
        between.lead_to(former.port)
        count(former, 1_001)
        await expect(page.locator("html")).to_have_attribute("data-state", "lost")
        await shows(page, 400)
        between.lead_to(raised.port)
        await is_live(page)
        await shows(page, 401)


async def show_at(page: Page, port: int) -> None:
    await page.goto(f"http://127.0.0.1:{port}{CAMPAIGN}?tenant={TENANT.replace('&', '%26')}")


@pytest.mark.asyncio
async def test_what_a_page_shows_stands_still_while_another_worker_catches_up(page: Page) -> None:
    async with (
        serving(debug=False, partitions=1) as one,
        serving(debug=False, partitions=1) as other,
        proxy(one.port) as between,
        fresh(one, other),
    ):
        one.catch_up()
        count(one, 1_000)
        await show_at(page, between.port)
        await expect(page.locator(".over-time")).to_be_visible()
        before = await page.locator("main .sub").first.inner_text()
        other.catch_up()
        count(other, 100)
        between.lead_to(other.port)
        await expect(page.locator(".pill")).to_have_text(re.compile("catching up"))
        assert await page.locator(".over-time").count() == 1
        assert await page.locator("main .sub").first.inner_text() == before


@pytest.mark.asyncio
async def test_a_tab_that_hears_of_the_numbers_from_another_knows_how_old_they_are(page: Page) -> None:
    other = await page.context.new_page()
    async with serving(debug=False, partitions=1) as api, fresh(api):
        api.catch_up()
        count(api, 7)
        for tab, path in ((page, CAMPAIGN), (other, "/proof")):
            await show(tab, api, path)
            await is_live(tab)
    await expect(page.locator("html")).to_have_attribute("data-state", "lost")
    silent_ms, shown = await other.evaluate(JOIN, TENANT)
    assert shown == "c1"
    assert silent_ms > 2_500
