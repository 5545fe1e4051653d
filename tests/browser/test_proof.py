"""The pages of proof and of the API in a real browser: each number is the API's and shows its age."""

import shlex
from urllib.parse import unquote

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tally.agents.clock import unix_ms
from tally.schemas.grains import RowKey
from tally.streams.keys.key import Key, digest_of
from tally.streams.keys.managing import new_key
from tests.browser.reading import show, shown, told
from tests.support.page_reports import report
from tests.support.page_worlds import TENANT
from tests.support.view_rows import PROMO, put, put_progress
from tests.support.web_api import Api, serving

PROOF, API = "/proof", "/api"
ODD = "it's a 'quoted' (name)!"


def begin(api: Api) -> None:
    put(api.view, RowKey(TENANT, "c1", PROMO), {"contacts": 1})
    api.catch_up()
    put_progress(api.view, 0, 10, seq=10, waiting=7)
    api.lag.note_facts_ends({0: 15, 1: 11})


@pytest.mark.asyncio
async def test_each_number_of_the_proof_is_the_apis(page: Page) -> None:
    async with serving(debug=False) as api:
        begin(api)
        report(api, drift={"states": 0, "cells": 2, "view": 1})
        await show(page, api, PROOF)
        await expect(page.locator("[data-gateway]")).to_be_visible()
        answer = await told(api, "/reports")
        (audit,) = answer["audits"]
        (gateway,) = answer["gateways"]
        partitions = {str(one["partition"]): one for one in answer["partitions"]}
        letters = {one["reason"]: one["number"] for one in answer["dead_letters"]}
        numbers = await shown(page)
        for scope, name, value in numbers:
            if "partition" in scope:
                assert partitions[scope["partition"]][name] == value
            elif "reason" in scope:
                assert letters[scope["reason"]] == value
            elif "gateway" in scope:
                kind, _, outcome = name.partition(".")
                assert gateway[kind][outcome] == value
            elif name == "differing":
                assert sum(audit["drift"].values()) == value == 3
            elif name.startswith("drift."):
                assert audit["drift"][name.removeprefix("drift.")] == value
            else:
                assert audit[name] == value
        assert {scope.get("partition") for scope, _, _ in numbers} >= partitions.keys()
        assert {scope.get("reason") for scope, _, _ in numbers} >= letters.keys()
        names = {name for _, name, _ in numbers}
        assert names >= {
            "differing",
            "rows",
            "behind_rows",
            "drift.cells",
            "waiting_messages",
            "answers.forged",
        }
        checks = page.locator(".checks li")
        await expect(checks.nth(0)).to_have_class("good")
        await expect(checks.nth(1)).to_have_class("bad")
        await expect(checks.nth(2)).to_have_class("none")
        await expect(page.locator("[data-audit] h2")).to_contain_text("<i>host</i>")


@pytest.mark.asyncio
async def test_the_proof_says_how_old_it_is_and_who_was_not_heard_of(page: Page) -> None:
    async with serving(debug=False) as api:
        begin(api)
        report(api, age_ms=65_000)
        await show(page, api, PROOF)
        heard = page.locator("[data-audit] [data-heard]")
        await expect(heard).to_contain_text("Reported 6")
        await expect(page.locator("[data-asked]")).to_contain_text("s ago")
        report(api, age_ms=600_000)
        await expect(heard).to_contain_text("Last heard of 10 min ago", timeout=15_000)
        await expect(heard).to_have_attribute("data-heard", "late")
        report(api, drift={"states": 5})
        await expect(page.locator("[data-number=differing]")).to_have_text("5", timeout=15_000)


@pytest.mark.asyncio
async def test_without_reports_the_proof_says_what_makes_them_and_begins_by_itself(page: Page) -> None:
    async with serving(debug=False) as api:
        await show(page, api, PROOF)
        await expect(page.locator("main")).to_contain_text("Catching up")
        begin(api)
        await expect(page.locator("main")).to_contain_text("tally audit --every")
        await expect(page.locator("main")).to_contain_text("No gateway reports here")
        report(api, audited_at_ms=None)
        await expect(page.locator("main")).to_contain_text("No audit has ended yet", timeout=15_000)


@pytest.mark.asyncio
async def test_a_key_of_one_tenant_sees_that_its_numbers_are_right_and_nothing_of_others(page: Page) -> None:
    async with serving(debug=False) as api:
        begin(api)
        report(api)
        made = new_key()
        api.keyring.put(made.key_id, Key(digest_of(made.secret), ("read",), (TENANT,), 0))
        token = api.log_ins.sessions.token(made.key_id, unix_ms())
        await page.context.add_cookies(
            [{"name": "tally_session", "value": token, "domain": "127.0.0.1", "path": "/"}]
        )
        await show(page, api, PROOF)
        await expect(page.locator("[data-audit]")).to_be_visible()
        await expect(page.locator("[data-gateway], [data-reason]")).to_have_count(0)


@pytest.mark.asyncio
async def test_each_example_of_the_api_answers_with_the_log_in_that_opened_the_page(page: Page) -> None:
    async with serving(debug=False) as api:
        await show(page, api, API)
        await expect(page.locator("main")).to_contain_text("Catching up")
        begin(api)
        await page.reload()
        await expect(page.locator(".example")).to_have_count(8)
        for example in await page.locator(".example").all():
            target = await example.locator("a").get_attribute("href")
            assert target is not None
            assert target in await example.locator("pre").inner_text()
            if "/stream?" in target:
                continue  # it has no end
            status = await page.evaluate("target => fetch(target).then(answer => answer.status)", target)
            # Numbers over time are Postgres', which is away here.
            assert status == (503 if "/series?" in target else 200), target


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [PROOF, API])
async def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_phone(page: Page, path: str) -> None:
    async with serving(debug=False) as api:
        begin(api)
        report(api)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await show(page, api, path)
            await expect(page.locator(".card").nth(1)).to_be_visible()
            found = await Axe().run(page)
            impacts = {one["impact"] for one in found.response["violations"]}
            assert impacts.isdisjoint({"serious", "critical"}), found.generate_report()
        for width in (360, 820, 1240):
            await page.set_viewport_size({"width": width, "height": 800})
            beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(beyond) <= 0, f"wider than {width}"


@pytest.mark.asyncio
async def test_axe_finds_nothing_serious_in_the_form_of_the_log_in(visitor: Page) -> None:
    async with serving(debug=False) as api:
        for target in ("/", "/proof?tenant=t1"):
            await visitor.goto(f"http://127.0.0.1:{api.port}{target}")
            await expect(visitor.get_by_label("Key")).to_be_visible()
            found = await Axe().run(visitor)
            impacts = {one["impact"] for one in found.response["violations"]}
            assert impacts.isdisjoint({"serious", "critical"}), found.generate_report()


@pytest.mark.asyncio
async def test_what_the_brokers_have_not_said_yet_is_not_0(page: Page) -> None:
    async with serving(debug=False) as api:
        put(api.view, RowKey(TENANT, "c1", PROMO), {"contacts": 1})
        api.catch_up()
        assert [one["behind"] for one in (await told(api, "/reports"))["partitions"]] == [None, None]
        await show(page, api, PROOF)
        table = page.locator("table.partitions")
        for row in ("[data-partition='0']", "tfoot"):
            await expect(table.locator(f"{row} td").nth(1)).to_have_text("\u2013")
        await expect(page.locator("main")).to_contain_text("The brokers have not said yet")
        await expect(page.locator("main")).not_to_contain_text("No raw event waits")


@pytest.mark.asyncio
async def test_an_example_is_one_word_of_a_shell_whatever_a_campaign_is_called(page: Page) -> None:
    async with serving(debug=False) as api:
        put(api.view, RowKey(TENANT, ODD, PROMO), {"contacts": 1})
        api.catch_up()
        await show(page, api, API)
        await expect(page.locator(".example")).to_have_count(8)
        for example in await page.locator(".example").all():
            target = await example.locator("a").get_attribute("href")
            words = shlex.split(await example.locator("pre").inner_text())
            assert words[:3] == ["curl", "-sN", "-H"]
            assert [unquote(word) for word in words[4:]] == [
                f"http://127.0.0.1:{api.port}{unquote(target or '')}"
            ]
