"""The wallboard in a real browser: who waits and is served, operators by state, and what was seen of them."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from tally.agents.clock import unix_ms
from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.schemas.operator_row import Membership, membership_counts
from tally.schemas.waiting import Caller, encode_since
from tests.browser.reading import settled, show, shown, told
from tests.support.page_worlds import TENANT, fill
from tests.support.view_rows import PROMO, put, put_operator
from tests.support.web_api import Api, serving

WALL = "/wall"
TOLD = """tiles => tiles.map(one => ({
    queue: one.dataset.queue,
    level: one.querySelector("[data-level]").dataset.level,
    longest: one.querySelector("[data-longest]").dataset.longest,
}))"""
FREE, IN_CALL = 1, 2
HEARD_AFTER = """async pauses => {
    const {Live} = await import(document.querySelector("script").src.replace("main.js", "live.js"));
    const receipt = {as_of: new Date().toISOString(), lag_ms: 100};
    const frame = state => (
        {receipt, operators: [{pbx: "p", operator: "o", state, reason: null, since: receipt.as_of}]}
    );
    return await Promise.all(pauses.map(async pause => {
        const live = new Live("t1", "operators=1", () => {});
        live.take("snapshot", frame("available"));
        await new Promise(resolve => setTimeout(resolve, pause));
        live.take("change", frame("in_call"));
        return [...live.begun.values()][0].isSeen;
    }));
}"""


@pytest.mark.asyncio
async def test_each_number_of_queues_and_each_operators_state_is_the_apis(page: Page) -> None:
    rng = random.Random(20)
    async with serving(debug=False) as api:
        world = fill(api.view, rng, 500, api.now_ms)
        api.catch_up_to(world.transaction)
        await show(page, api, WALL)
        await settled(page, api, world, rng)
        operators = (await told(api, "/operators"))["operators"]
        queues = {one["queue"]: one for one in (await told(api, "/queues"))["queues"]}
        assert len(operators) == 200
        states = await page.locator("[data-operator]").evaluate_all(
            "all => all.map(one => [one.dataset.operator, one.className])"
        )
        assert sorted(states) == sorted([one["operator"], one["state"]] for one in operators)
        assert any(one["waiting"] for one in queues.values())
        for scope, name, value in await shown(page):
            if name == "waiting":
                assert queues[scope["queue"]]["waiting"] == value, scope
                continue
            where = [one["queues"] for one in operators] if "queue" in scope else []
            in_queue = [each for members in where for each in members if each["queue"] == scope["queue"]]
            assert sum(one["state"] == name for one in (in_queue or operators)) == value, (scope, name)
        found = await page.locator("[data-queue]").evaluate_all(TOLD)
        assert {one["queue"] for one in found} == queues.keys()
        for one in found:
            queue = queues[one["queue"]]
            (level,) = queue["service_level"]
            assert one["level"] == (f"{level['connects']}/{level['of']}" if level["of"] else "")
            assert one["longest"] == (queue["since"] or "")


def put_anna(view: View, status: int, since_ms: int) -> None:
    seen = [Membership("sales", status, since_ms)]
    put_operator(view, TENANT, "PJSIP/201", membership_counts("Anna", seen))


@asynccontextmanager
async def beginning(page: Page, **query: str) -> AsyncIterator[Api]:
    """Show the wallboard of a worker that counts everything at once."""

    async def count() -> None:
        while True:
            api.now_ms = unix_ms()
            api.catch_up()
            await asyncio.sleep(0.2)

    async with serving(debug=False) as api, asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        put_anna(api.view, FREE, unix_ms() - 600_000)
        await show(page, api, WALL, **query)
        await expect(page.locator("[data-operator]")).to_have_count(1)
        yield api
        counting.cancel()


@pytest.mark.asyncio
async def test_a_timer_says_at_least_unless_its_page_saw_the_state_begin(page: Page) -> None:
    async with beginning(page) as api:
        timer = page.locator("[data-operator] em")
        await expect(timer).to_have_text(re.compile(r"≥ 10:\d\d"))
        put_anna(api.view, IN_CALL, unix_ms())
        await expect(page.locator("[data-operator].in_call")).to_be_visible()
        await expect(timer).to_have_text(re.compile(r"^0:0\d$"))
        put_anna(api.view, IN_CALL, unix_ms() + 60)  # a PBX tells one change in several events
        await expect(page.locator("[data-seen=true]")).to_be_visible()
        await page.reload()
        await expect(timer).to_have_text(re.compile(r"^≥ 0:\d\d$"))
        put_anna(api.view, FREE, unix_ms())
        await expect(page.locator("[data-operator].available [data-seen=true]")).to_be_visible()
        # News of the same state, seconds later: it may be another turn of it, too short to be seen.
        put_anna(api.view, FREE, unix_ms() + 5_000)
        await expect(timer).to_have_text(re.compile(r"^≥ 0:0\d$"))


@pytest.mark.asyncio
async def test_what_was_missed_while_there_was_no_connection_is_no_beginning(page: Page) -> None:
    async with beginning(page) as api:
        port = api.port
    await expect(page.locator("html")).to_have_attribute("data-state", "lost")
    async with serving(debug=False, port=port) as again:
        put_anna(again.view, IN_CALL, unix_ms())
        again.catch_up()
        await expect(page.locator("[data-operator].in_call [data-seen=false]")).to_be_visible()


@pytest.mark.asyncio
async def test_thresholds_are_of_the_address_and_a_wait_passes_them_by_the_clock(page: Page) -> None:
    async with beginning(page, within="10", target="50", warn="20", bad="30") as api:
        put(api.view, RowKey(TENANT, "c1", PROMO), {"queues.sales/connects": 3, "queues.sales/abandoned": 1})
        put(api.view, RowKey(TENANT, "c2", PROMO), {"queue_waits.sales/5": 2, "queue_waits.sales/12": 1})
        caller = Caller(TENANT, "pbx01", "sales", "1.1")
        api.view.apply(0, caller.encode(), encode_since(unix_ms() - 25_000))
        tile = page.locator(".tile")
        await expect(tile).to_have_class(re.compile(r"\bwarn\b"))
        await expect(tile.locator("[data-level]")).to_have_text("50 %")
        await expect(tile.locator(".good")).to_have_count(1)
        await expect(tile).to_have_class(re.compile(r"\bbad\b"))
        await page.get_by_role("button", name="Thresholds").click()
        await page.get_by_label("answered within").fill("15")
        await page.get_by_label("of at least").fill("90")
        await page.keyboard.press("Enter")
        await expect(tile.locator("[data-level]")).to_have_text("75 %")
        await expect(tile.locator(".good")).to_have_count(0)
        assert "within=15" in page.url
        api.view.apply(0, caller.encode(), None)
        await expect(tile.locator("[data-longest]")).to_have_text("\u2013")
        await expect(tile).not_to_have_class(re.compile(r"\b(bad|warn)\b"))


@pytest.mark.asyncio
async def test_a_key_makes_it_the_whole_screen_and_leaves_what_is_to_be_read(page: Page) -> None:
    async with beginning(page):
        await page.keyboard.press("f")
        await page.wait_for_function("document.fullscreenElement !== null")
        await expect(page.get_by_role("navigation")).to_be_hidden()
        await expect(page.locator(".pill")).to_be_visible()
        await page.keyboard.press("f")
        await expect(page.get_by_role("navigation")).to_be_visible()


@pytest.mark.asyncio
async def test_on_a_screen_of_a_wall_what_matters_is_read_from_five_metres(page: Page) -> None:
    """A letter is read from 200 times its height: from 5 m that is 25 mm, 30 pixels on a screen of 1.6 m."""
    await page.set_viewport_size({"width": 1920, "height": 1080})
    async with beginning(page) as api:
        api.view.apply(0, Caller(TENANT, "pbx01", "sales", "1.1").encode(), encode_since(unix_ms()))
        size = "one => parseFloat(getComputedStyle(one).fontSize)"
        for place in (".bigs b", ".states b"):
            assert await page.locator(place).first.evaluate(size) * 0.7 >= 30, place
        assert await page.locator(".operators b").evaluate(size) >= 28


@pytest.mark.asyncio
async def test_a_level_is_good_from_its_target_on_and_never_shows_one_that_it_has_missed(page: Page) -> None:
    levels = {"57": (57, 43), "79": (796, 204), "80": (4, 1), "99": (999, 1), "1": (1, 999), "0": (0, 5)}
    async with serving(debug=False) as api:
        for name, (connects, abandoned) in levels.items():
            counts = {f"queues.{name}/connects": connects, f"queue_waits.{name}/5": connects}
            counts[f"queues.{name}/abandoned"] = abandoned
            put(api.view, RowKey(TENANT, name, PROMO), {key: value for key, value in counts.items() if value})
        api.catch_up()
        for target in (57, 80):
            await show(page, api, WALL, target=str(target))
            for name, (connects, abandoned) in levels.items():
                tile = page.locator(f"[data-queue='{name}']")
                await expect(tile.locator("[data-level]")).to_have_text(f"{name} %")
                is_met = 100 * connects >= target * (connects + abandoned)
                await expect(tile.locator(".good")).to_have_count(int(is_met))


@pytest.mark.asyncio
async def test_a_state_that_changed_while_nothing_was_heard_is_no_beginning(page: Page) -> None:
    async with beginning(page):
        seen = await page.evaluate(HEARD_AFTER, [0, 2_500])
        assert seen == [True, False]


@pytest.mark.asyncio
async def test_of_many_queues_those_in_which_somebody_waits_longest_are_large_and_none_is_hushed_up(
    page: Page,
) -> None:
    async with serving(debug=False) as api:
        for part in range(4):
            numbers = range(300 * part, 300 * part + 300)
            counts = {f"queues.q{number:04}/connects": 1 for number in numbers}
            put(api.view, RowKey(TENANT, f"c{part}", PROMO), counts)
        waits = [f"q{37 * nth % 900:04}" for nth in range(20)]
        for nth, queue in enumerate(waits):
            caller = Caller(TENANT, "pbx01", queue, f"1.{nth}")
            api.view.apply(0, caller.encode(), encode_since(unix_ms() - 100_000 + nth * 1_000))
        api.catch_up()
        await show(page, api, WALL)
        names = "all => all.map(one => one.dataset.queue)"
        await expect(page.locator(".tile")).to_have_count(15)
        assert await page.locator(".tile").evaluate_all(names) == waits[:15]
        lines = await page.locator(".lines li").evaluate_all(names)
        assert lines[:5] == waits[15:]
        assert lines[5:] == sorted(lines[5:])
        left = 1_000 - 15 - len(lines)
        await expect(page.locator("main")).to_contain_text(f"{left} more queues, in which nobody waits")
        await expect(page.locator("main")).to_contain_text("more than 1,000 queues")
