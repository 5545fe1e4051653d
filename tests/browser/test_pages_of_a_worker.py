"""Pages of a real worker: while random events are counted, every number of a page becomes the API's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tally.streams.dev.free_port import free_port
from tally.streams.settings import variable
from tests.browser.reading import number_of, rows, shown
from tests.support.gateway import gateway
from tests.support.judge import counted, prepare, publish, simulated
from tests.support.keys import SHOWN
from tests.support.servers import Kafka
from tests.support.workers import WorkerProcess, environment_of, tally_process, workers

pytestmark = pytest.mark.long

TENANT = "tenant-0"
SECONDS = 20.0


@pytest.fixture
def environment(kafka: Kafka, database: str) -> dict[str, str]:
    return environment_of(kafka.bootstrap, database, f"p{uuid4().hex[:8]}-")


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[WorkerProcess]:
    with workers(environment, tmp_path, "a") as (made,):
        yield made


async def told(http: aiohttp.ClientSession, worker: WorkerProcess, path: str) -> Any:
    async with http.get(f"{worker.url}/v1/tenants/{TENANT}{path}") as response:
        assert response.status == 200
        return await response.json()


async def as_the_api_says(
    page: Page, http: aiohttp.ClientSession, worker: WorkerProcess, campaign: str
) -> None:
    """Open a campaign's page, and wait until it shows the numbers of the API, panels included."""
    path = f"/campaigns/{quote(campaign, safe='')}"
    await page.goto(f"{worker.url}/c/{quote(campaign, safe='')}?{urlencode({'tenant': TENANT})}")
    await expect(page.locator("html")).to_have_attribute("data-state", "exact")
    await page.locator(".over-time").get_by_role("button", name="show numbers").click()
    answer = await told(http, worker, path)
    totals = answer["totals"]

    def right(scope: dict[str, str], name: str, value: int) -> bool:
        its = [one["counters"] for one in answer["templates"] if _is_of(one["template"], scope)]
        return number_of(its[0] if its else totals, name) == value

    async with asyncio.timeout(SECONDS):
        while True:
            numbers, over_time = await shown(page), await rows(page.locator(".over-time"), "bucket")
            places = await rows(page.locator("[data-by='market']"), "group")
            in_all = [found.get("all") for found in (over_time, places)]
            if all(in_all) and all(
                number_of(totals, name) == value for each in in_all for name, value in (each or {}).items()
            ):
                break
            await asyncio.sleep(0.2)
    assert len(numbers) > 12
    assert all(right(*one) for one in numbers)
    assert await page.locator("[data-closes='false']").count() == 0
    for found in (over_time, places):
        for name, value in found["all"].items():
            assert sum(one.get(name, 0) for group, one in found.items() if group != "all") == value


def _is_of(template: dict[str, str], scope: dict[str, str]) -> bool:
    return scope.get("template") == f'["{template["name"]}","{template["language"]}"]'


async def show_what_is_counted(page: Page, http: aiohttp.ClientSession, worker: WorkerProcess) -> None:
    """Hold the pages of a campaign of each channel, and the list, against the API."""
    campaigns = (await told(http, worker, "/campaigns"))["campaigns"]
    assert {one["channel"] for one in campaigns} == {"whatsapp", "voice"}
    for channel in ("whatsapp", "voice"):
        one = next(one for one in campaigns if one["channel"] == channel)
        await as_the_api_says(page, http, worker, one["campaign"])
    await page.goto(f"{worker.url}/?{urlencode({'tenant': TENANT})}")
    await expect(page.locator("tr[data-campaign]")).to_have_count(len(campaigns))
    listed = {one["campaign"]: one["totals"] for one in campaigns}
    for scope, name, value in await shown(page):
        assert number_of(listed[scope["campaign"]], name) == value


async def show_what_is_reported(page: Page, http: aiohttp.ClientSession, worker: WorkerProcess) -> None:
    """Wait for the reports of an audit and a gateway, and hold the page of proof against them."""
    async with asyncio.timeout(SECONDS):
        while not ((answer := await told(http, worker, "/reports"))["audits"] and answer["gateways"]):
            await asyncio.sleep(0.2)
    (audit,), (door,) = answer["audits"], answer["gateways"]
    assert audit["audited_at"] is not None
    assert audit["rows"] > 20
    assert audit["drift"].keys() >= {"states", "cells", "postgres"}
    assert not any(audit["drift"].values())
    await page.goto(f"{worker.url}/proof?{urlencode({'tenant': TENANT})}")
    card = page.locator(f"[data-audit='{audit['name']}']")
    await expect(card.locator("[data-number=differing]")).to_have_text("0")
    await expect(card.locator("[data-number=rows]")).to_have_text(f"{audit['rows']:,}")
    await expect(card.locator("[data-heard=live]")).to_be_visible()
    card = page.locator(f"[data-gateway='{door['name']}']")
    await expect(card.locator("[data-number='answers.accepted']")).to_have_text("0")
    await expect(card.locator("[data-heard=live]")).to_be_visible()


@pytest.mark.asyncio
@pytest.mark.timeout(240)
async def test_the_pages_of_a_worker_show_what_it_counts_of_random_events_and_what_proves_it(
    page: Page, environment: dict[str, str], worker: WorkerProcess, tmp_path: Path
) -> None:
    await prepare(environment)
    worker.start()
    await worker.ready()
    await page.set_extra_http_headers(SHOWN)
    records = simulated(seed=822, contacts_per_campaign=60)
    half = len(records) // 2
    auditing = environment | {variable("audit_metrics_port"): str(free_port(0))}
    async with aiohttp.ClientSession(headers=SHOWN) as http:
        await publish(environment, records[:half])
        await counted(worker)
        await show_what_is_counted(page, http, worker)
        await publish(environment, records[half:])
        await counted(worker)
        async with (
            gateway(environment, tmp_path / "gateway.log"),
            tally_process(auditing, tmp_path / "audit.log", "audit", "--every", "60"),
        ):
            await show_what_is_counted(page, http, worker)
            await show_what_is_reported(page, http, worker)
