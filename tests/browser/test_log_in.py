"""Logging in, in a real browser: a key is typed once, no script reads what is kept, tabs go out together."""

import random
from time import monotonic
from urllib.parse import quote

import pytest
from msgspec import structs
from playwright.async_api import Page, expect

from tally.streams.keys.key import Key, Presented, digest_of
from tally.streams.keys.managing import new_key
from tests.support.keys import KEY, PRESENTED
from tests.support.page_worlds import TENANT, fill
from tests.support.web_api import Api, serving

pytestmark = pytest.mark.alone  # what a page shows is awaited by the browser's clock

KEPT = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
NOTHING = '[{},{},""]'
LIST = f"/?tenant={quote(TENANT, safe='')}"


def grant(api: Api, *tenants: str) -> Presented:
    made = new_key()
    api.keyring.put(made.key_id, Key(digest_of(made.secret), ("read",), tenants, 0))
    return made


def begin(api: Api) -> str:
    """Fill the view; return the address of its pages."""
    world = fill(api.view, random.Random(20), 10, api.now_ms)
    api.catch_up_to(world.transaction)
    return f"http://127.0.0.1:{api.port}"


async def log_in(page: Page, key: Presented) -> None:
    await page.get_by_label("Key").fill(key.text)
    await page.keyboard.press("Enter")


@pytest.mark.asyncio
async def test_a_key_is_typed_once_and_nothing_that_a_script_can_read_is_kept(visitor: Page) -> None:
    async with serving(debug=False) as api:
        await visitor.goto(begin(api) + LIST)
        await log_in(visitor, new_key())
        await expect(visitor.get_by_role("alert")).to_contain_text("opens nothing")
        assert await visitor.get_by_label("Key").get_attribute("type") == "password"
        await log_in(visitor, PRESENTED)
        await expect(visitor.locator("[data-number]").first).to_be_visible()
        assert await visitor.evaluate(KEPT) == NOTHING
        assert PRESENTED.secret not in await visitor.content()
        assert "tally_" not in visitor.url
        await visitor.reload()
        await expect(visitor.locator("[data-number]").first).to_be_visible()


@pytest.mark.asyncio
async def test_who_logs_out_of_one_tab_is_out_of_all_and_in_again_in_all(visitor: Page) -> None:
    async with serving(debug=False) as api:
        await visitor.goto(begin(api) + LIST)
        other = await visitor.context.new_page()
        await other.goto(visitor.url)
        await log_in(other, PRESENTED)
        for tab in (visitor, other):
            await expect(tab.locator("[data-number]").first).to_be_visible()
        await visitor.get_by_role("button", name="Log out").click()
        for tab in (visitor, other):
            await expect(tab.get_by_label("Key")).to_be_visible()
            assert await tab.locator("[data-number]").count() == 0, "numbers stay on the screen"
        await log_in(visitor, PRESENTED)
        for tab in (visitor, other):
            await expect(tab.locator("[data-number]").first).to_be_visible()


@pytest.mark.asyncio
async def test_a_key_that_is_revoked_ends_the_page_in_seconds_and_another_brings_it_back(page: Page) -> None:
    async with serving(debug=False) as api:
        await page.goto(begin(api) + LIST)
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        api.keyring.put(PRESENTED.key_id, structs.replace(KEY, revoked_at_ms=1))
        revoked_s = monotonic()
        await expect(page.get_by_label("Key")).to_be_visible(timeout=3_000)
        assert monotonic() - revoked_s < 3
        assert await page.locator("[data-number]").count() == 0, "numbers stay on the screen"
        await log_in(page, grant(api, TENANT))
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        await expect(page.locator("[data-number]").first).to_be_visible()


@pytest.mark.asyncio
async def test_who_has_one_tenant_sees_it_at_once_and_others_choose(visitor: Page) -> None:
    async with serving(debug=False) as api:
        url = begin(api)
        await visitor.goto(url)
        await log_in(visitor, grant(api, TENANT))
        await expect(visitor.locator(".tenant")).to_have_text(TENANT)
        await visitor.get_by_role("button", name="Log out").click()
        # The page goes to the form by itself: another address before that would be cut short.
        await expect(visitor.get_by_label("Key")).to_be_visible()
        await visitor.goto(url)
        await log_in(visitor, grant(api, "another", TENANT))
        await visitor.get_by_role("link", name=TENANT).click()
        await expect(visitor.locator("[data-number]").first).to_be_visible()
        await visitor.get_by_role("button", name="Log out").click()
        await expect(visitor.get_by_label("Key")).to_be_visible()
        await visitor.goto(f"{url}/wall")
        await log_in(visitor, PRESENTED)
        await visitor.get_by_label("Tenant").fill(TENANT)
        await visitor.keyboard.press("Enter")
        await expect(visitor.locator("[data-operator]").first).to_be_visible()
