"""Panels come from Postgres: their numbers are the API's, and they say how old they are and what is wrong."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest
from playwright.async_api import Page, Response, expect

from tally.agents.clock import unix_ms
from tally.agents.view.model import View
from tally.deploy import migrate
from tally.schemas.rates.reading import read_card
from tally.streams.operations import rates
from tests.browser.reading import path_of, rows, show, told, whole
from tests.support.page_cells import CARD, Sunk
from tests.support.page_worlds import HOSTILE, MadeUp, fill
from tests.support.servers import Postgres, empty_database
from tests.support.web_api import NO_POSTGRES, Api, serving

WHATSAPP, VOICE = "campaign 006", "campaign 007"
SECONDS = 10.0
CHART = "**/uplot.js"
HIDE = """isHidden => {
    Object.defineProperty(document, "hidden", {configurable: true, get: () => isHidden});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


NOW_MS = unix_ms()


@pytest.fixture(scope="module")
def filled(postgres: Postgres) -> Iterator[str]:
    """A database that holds the made-up campaigns of these tests."""
    with empty_database(postgres) as dsn:
        migrate.up(dsn)
        asyncio.run(rates.load(dsn, read_card(CARD)))
        asyncio.run(Sunk(dsn).write(made_up(View(2))))
        yield dsn


def made_up(view: View) -> MadeUp:
    """Put the campaigns of these tests into a view."""
    return fill(view, random.Random(20), 20, NOW_MS)


@asynccontextmanager
async def campaigns_in(dsn: str) -> AsyncIterator[Api]:
    """Serve the campaigns of these tests."""
    async with serving(debug=False, dsn=dsn) as api:
        api.now_ms = NOW_MS
        api.catch_up_to(made_up(api.view).transaction)
        yield api


async def eventually(look: Callable[[], Awaitable[Any]], right: Any) -> None:
    """Wait until a page shows what it should."""
    async with asyncio.timeout(SECONDS):
        while await look() != right:
            await asyncio.sleep(0.05)


def asks(part: str, **query: str) -> Callable[[Response], bool]:
    """Choose the response of a question with these parameters."""

    def is_it(response: Response) -> bool:
        parts = urlsplit(response.url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return parts.path.endswith(part) and asked.items() >= query.items()

    return is_it


@pytest.mark.asyncio
@pytest.mark.parametrize("campaign", [WHATSAPP, VOICE])
async def test_the_numbers_over_time_are_the_apis_by_each_time_interval_and_zone(
    page: Page, filled: str, campaign: str
) -> None:
    async with campaigns_in(filled) as api:
        await show(page, api, path_of(campaign))
        await page.locator(".over-time").get_by_role("button", name="show numbers").click()
        totals = (await told(api, f"/campaigns/{quote(campaign)}"))["totals"]
        for label, name, choices in (
            ("Time", "attribution", ("send", "event")),
            ("Interval", "interval", ("minute", "day", "week", "month", "hour")),
            ("Zone", "timezone", ("America/St_Johns", "Pacific/Chatham", "UTC")),
        ):
            for choice in choices:
                async with page.expect_response(asks("/series", **{name: choice})) as answered:
                    await page.locator(".over-time").get_by_label(label, exact=True).select_option(choice)
                answer = await (await answered.value).json()
                if choice != "minute":  # which shows the last hours alone
                    assert answer["totals"] == {one: totals[one] for one in answer["totals"]}
                assert sum(answer["totals"].values()) > 0
                right = {one["from"]: one["counters"] for one in answer["buckets"]}
                over_time = page.locator(".over-time")
                await eventually(lambda: rows(over_time, "bucket"), right | {"all": answer["totals"]})  # noqa: B023
        await expect(page.locator(".over-time canvas")).to_be_visible()
        await expect(page.locator(".over-time .readout")).to_contain_text("·")


@pytest.mark.asyncio
@pytest.mark.parametrize("campaign", [WHATSAPP, VOICE])
async def test_numbers_and_markets_are_the_apis(page: Page, filled: str, campaign: str) -> None:
    await page.set_viewport_size({"width": 1240, "height": 800})
    async with campaigns_in(filled) as api:
        await show(page, api, path_of(campaign))
        for by in ("number", "market"):
            panel = page.locator(f"[data-by='{by}']")
            await expect(panel.locator("tr[data-group='all']")).to_be_visible()
            answer = await told(api, f"/campaigns/{quote(campaign)}/breakdown", by=by)
            found = await rows(panel, "group")
            right = {one[by]: one["counters"] for one in answer["groups"]} | {"all": answer["totals"]}
            assert found.keys() == right.keys()
            assert len(found) > 2
            for group, counters in found.items():
                assert counters.items() <= right[group].items()
                assert len(counters) >= 3
            hidden = await panel.evaluate("one => one.scrollWidth - one.clientWidth")
            assert hidden == 0, "a card beside another one is as wide as its numbers"


@pytest.mark.asyncio
async def test_shares_at_the_same_age_are_the_apis_with_the_band_of_earlier_campaigns(
    page: Page, filled: str
) -> None:
    async with campaigns_in(filled) as api:
        await show(page, api, path_of(WHATSAPP))
        panel = page.locator(".same-age")
        await panel.get_by_role("button", name="show numbers").click()
        answer = await told(api, f"/campaigns/{quote(WHATSAPP)}/same-age")
        old_enough = [one for one in answer["ages"] if one["accepted"]]
        assert old_enough
        right = {
            str(one["age_seconds"]): {name: one[name] for name in ("accepted", "delivered", "read")}
            for one in old_enough
        }
        await eventually(lambda: rows(panel, "age"), right)
        comparable = [one for one in old_enough if one["earlier"]["campaigns"]]
        assert comparable, "the oldest messages are of other campaigns"
        band = comparable[-1]["earlier"]["delivered_share"]
        said = f"half lay between {100 * band['p25']:.1f} % and {100 * band['p75']:.1f} %"
        await expect(panel.locator(".close")).to_contain_text(said)


@pytest.mark.asyncio
async def test_what_a_campaign_costs_is_the_apis_to_the_millionth(page: Page, filled: str) -> None:
    async with campaigns_in(filled) as api:
        await show(page, api, path_of(WHATSAPP))
        panel = page.locator(".cost")
        for by in ("template", "number", "rate", "market"):
            async with page.expect_response(asks("/cost", group_by=by)) as answered:
                # The page begins with countries.
                await panel.get_by_label("Cost by").select_option(by)
            answer = await (await answered.value).json()
            right = {
                json.dumps(one[by], separators=(",", ":"), ensure_ascii=False): one["cost_micros"]
                for one in answer["groups"]
            }
            assert sum(right.values()) == answer["total"]["cost_micros"] > 0

            async def drawn() -> dict[str, int]:
                found: dict[str, int] = await panel.locator("tr[data-group]").evaluate_all(
                    "all => Object.fromEntries(all.map(row => "
                    "[row.dataset.group, Number(row.querySelector('[data-micros]').dataset.micros)]))"
                )
                return found

            await eventually(drawn, right)
        total = answer["total"]
        big = panel.locator(".big [data-micros]")
        assert await big.get_attribute("data-micros") == str(total["cost_micros"])
        assert await big.inner_text() == f"≥ €{total['cost_micros'] / 1e6:,.2f}", "India has no price"
        for name in ("delivered", "priced", "free", "unpriced"):
            assert whole(await panel.locator(f"[data-cost='{name}']").inner_text()) == total[name]
        by_template = (await told(api, f"/campaigns/{quote(WHATSAPP)}/cost", group_by="template"))["groups"]
        for one in by_template:
            name = json.dumps([one["template"]["name"], one["template"]["language"]], separators=(",", ":"))
            row = page.locator(f"tr[data-template='{name}'] [data-micros]")
            assert await row.get_attribute("data-micros") == str(one["cost_micros"])


@pytest.mark.asyncio
async def test_the_list_shows_what_each_campaign_sent_in_a_day_and_renews_it_while_it_is_seen(
    page: Page, filled: str
) -> None:
    async with campaigns_in(filled) as api:
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url) if "/activity" in one.url else None)
        await page.clock.install()
        await show(page, api, "/")
        answer = await told(api, "/activity")
        right = {one["campaign"]: ",".join(map(str, one["sent"])) for one in answer["campaigns"]}
        assert right.keys() & {*HOSTILE}
        assert sum(map(sum, (one["sent"] for one in answer["campaigns"]))) > 1_000

        async def drawn() -> dict[str, str]:
            found: dict[str, str] = await page.locator("tr:has([data-sent])").evaluate_all(
                "all => Object.fromEntries(all.map(row => "
                "[row.dataset.campaign, row.querySelector('[data-sent]').dataset.sent]))"
            )
            return found

        await eventually(drawn, right)
        await expect(page.locator(".sub .age")).to_have_text(re.compile(r"\d\d:\d\d:\d\d · .* old"))
        before = len(asked)
        async with page.expect_request(lambda one: "/activity" in one.url):
            await page.clock.run_for(11_000)
        assert len(asked) == before + 1
        await page.evaluate(HIDE, True)
        await page.clock.run_for(60_000)
        assert len(asked) == before + 1, "nobody looks"
        async with page.expect_request(lambda one: "/activity" in one.url):
            await page.evaluate(HIDE, False)


@pytest.mark.asyncio
async def test_panels_say_what_is_wrong_while_all_other_numbers_go_on(page: Page, filled: str) -> None:
    async with campaigns_in(filled) as api:
        connection = await asyncpg.connect(filled)
        await connection.execute("UPDATE tally.sink_progress SET is_cut = false")
        await page.route(CHART, lambda route: route.abort())
        await show(page, api, path_of(WHATSAPP))
        await expect(page.locator("[data-by='market'] .age.late")).to_contain_text("catching up")
        over_time = page.locator(".over-time")
        await expect(over_time.locator(".chart")).to_contain_text("behind “show numbers”")
        await over_time.get_by_role("button", name="show numbers").click()
        await expect(over_time.locator("tr[data-bucket='all']")).to_be_visible()
        await page.unroute(CHART)
        await connection.execute("UPDATE tally.sink_progress SET is_cut = true")
        await connection.close()
    async with campaigns_in(NO_POSTGRES) as api:
        await show(page, api, path_of(WHATSAPP))
        for panel in (".over-time", "[data-by='market']", ".same-age"):
            await expect(page.locator(f"{panel} .nothing")).to_contain_text("Postgres")
        await expect(page.locator("html")).to_have_attribute("data-state", "exact")
        assert await page.locator("[data-number]").count() > 12
