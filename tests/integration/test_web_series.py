"""Numbers over time on a real worker: in every zone and grouping they are what the campaign counts."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import aiohttp
import asyncpg
import orjson
import pytest

from tally.schemas.counters import ACTIVITY
from tally.simulator.records import SEND_RESULTS, RawRecord
from tally.tables.postgres.breakdown import WAYS
from tests.integration.test_web_cost import World, answering
from tests.support.judge import counted, prepare, publish, simulated
from tests.support.keys import SHOWN
from tests.support.servers import Kafka
from tests.support.web_api import DESCRIBED, Api
from tests.support.whatsapp_events import PHONE, hook, send
from tests.support.workers import WorkerProcess, environment_of, workers

ZONES = ("UTC", "Europe/Amsterdam", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia")
NAMES = ("accepted", "sent", "delivered", "failed", "attempts", "replied", "contacts_accepted")
WHOLE = {"from": "2009-01-01", "to": "2030-01-01", "interval": "month"}
BY_DAY = """
SELECT (quarter AT TIME ZONE $1)::date::text AS day, sum(accepted)::bigint AS accepted
FROM tally.cells WHERE tenant = $2 AND campaign = $3 AND grain = 'template' GROUP BY 1
"""
BY_HOUR = """
SELECT extract(hour FROM quarter AT TIME ZONE $1)::integer AS hour, sum(attempts)::bigint AS attempts
FROM tally.cells WHERE tenant = $2 AND campaign = $3 AND grain = 'template' GROUP BY 1
"""
TENANT = "tenant-0"
Answer = dict[str, Any]


@pytest.fixture
def environment(kafka: Kafka, database: str) -> dict[str, str]:
    return environment_of(kafka.bootstrap, database, f"s{uuid4().hex[:8]}-")


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[WorkerProcess]:
    with workers(environment, tmp_path, "a") as (made,):
        yield made


class Asked:
    """A client of the read API, and somebody who looks into Postgres."""

    def __init__(self, http: aiohttp.ClientSession, worker: WorkerProcess, postgres: Any) -> None:
        self._http = http
        self._url = f"{worker.url}/v1/tenants/{TENANT}"
        self._postgres = postgres
        self._since = datetime.now(UTC)

    async def get(self, path: str, query: dict[str, str] | None = None) -> Answer:
        """Return an answer that is as the description says."""
        async with self._http.get(f"{self._url}{path}?{urlencode(query or {})}") as response:
            body = await response.read()
        DESCRIBED.check("GET", response.url.raw_path, response.status, response.headers, body)
        assert response.status == 200, body
        answer: Answer = orjson.loads(body)
        return answer

    def renew(self) -> None:
        """Wait from now on for what is there at this moment."""
        self._since = datetime.now(UTC)

    async def live(self, path: str, query: dict[str, str]) -> Answer:
        """Ask until Postgres has everything that was there when this client came, or renewed."""
        for _ in range(60):
            answer = await self.get(path, query)
            receipt = answer["receipt"]
            if receipt["as_of"] is not None and datetime.fromisoformat(receipt["as_of"]) > self._since:
                return answer
            await asyncio.sleep(0.25)
        raise AssertionError(answer["receipt"])

    async def hours(self, zone: str, campaign: str) -> dict[int, int]:
        found = await self._postgres.fetch(BY_HOUR, zone, TENANT, campaign)
        return {record["hour"]: record["attempts"] for record in found if record["attempts"]}

    async def days(self, zone: str, campaign: str) -> dict[str, int]:
        found = await self._postgres.fetch(BY_DAY, zone, TENANT, campaign)
        return {record["day"]: record["accepted"] for record in found if record["accepted"]}


@asynccontextmanager
async def asking(worker: WorkerProcess, database: str) -> AsyncIterator[Asked]:
    postgres = await asyncpg.connect(database)
    try:
        async with aiohttp.ClientSession(headers=SHOWN) as http:
            yield Asked(http, worker, postgres)
    finally:
        await postgres.close()


@pytest.mark.long
@pytest.mark.asyncio
@pytest.mark.timeout(240)
async def test_numbers_over_time_are_those_of_the_campaign_in_every_zone_and_grouping(
    environment: dict[str, str], worker: WorkerProcess, database: str
) -> None:
    await prepare(environment)
    worker.start()
    await worker.ready()
    await publish(environment, simulated(seed=733, contacts_per_campaign=60))
    await counted(worker)
    async with asking(worker, database) as asked:
        campaigns = [one["campaign"] for one in (await asked.get("/campaigns"))["campaigns"]]
        assert len(campaigns) >= 3
        for campaign in campaigns:
            await _check_breakdowns(asked, campaign)
        accepted = [await _check_campaign(asked, campaign) for campaign in campaigns]
        tenant = await asked.live("/series", {**WHOLE, "counter": "accepted"})
        assert tenant["totals"] == {"accepted": sum(accepted)}
        await _check_minutes(asked, environment, worker)
        operators = (await asked.get("/operators"))["operators"]
        assert operators
        for one in operators:
            path = f"/operators/{quote(one['operator'], safe='')}/series"
            numbers = await asked.live(path, {**WHOLE, "pbx": one["pbx"], "counter": "connects"})
            assert numbers["totals"] == {"connects": one["counts"]["connects"]}


async def _check_campaign(asked: Asked, campaign: str) -> int:
    """Compare a campaign's numbers over time with its own; return how many it had accepted."""
    path = f"/campaigns/{quote(campaign, safe='')}"
    right = (await asked.get(path))["totals"]
    names = [name for name in NAMES if name in right]
    sums = await asked.live(f"{path}/series", {**WHOLE, "counter": ",".join(names)})
    assert sums["totals"] == {name: right[name] for name in names}
    happened = await asked.live(f"{path}/series", {**WHOLE, "attribution": "event"})
    assert happened["totals"] == {name: right.get(name, 0) for name in ACTIVITY}
    for group in ("template", "number", "market"):
        query = {**WHOLE, "group_by": group, "counter": "accepted,delivered"}
        grouped = await asked.live(f"{path}/series", query)
        for name in ("accepted", "delivered"):
            assert sum(one["totals"][name] for one in grouped["groups"]) == right.get(name, 0)
            assert grouped["totals"][name] == right.get(name, 0)
    for zone in ZONES:
        if days := await asked.days(zone, campaign):
            await _check_days(asked, f"{path}/series", zone, days)
    return int(right.get("accepted", 0))


async def _check_minutes(asked: Asked, environment: dict[str, str], worker: WorkerProcess) -> None:
    """Send messages of now, and find each in its minute."""
    now_ms = time.time_ns() // 1_000_000
    ages = (0, 60, 60, 3 * 60, 3_500, 47 * 3_600)
    await publish(environment, [_sent_at(now_ms - seconds * 1000, nth) for nth, seconds in enumerate(ages)])
    await counted(worker)
    asked.renew()
    right = Counter((now_ms // 1000 - seconds) // 60 * 60 for seconds in ages)
    for hours, minutes in ((48, None), (1, 60)):
        since_s = now_ms // 60_000 * 60 - hours * 3_600 + 120
        span = {} if minutes else {"from": str(since_s * 1000)}
        answer = await asked.live("/campaigns/minutes/series", {"interval": "minute", **span})
        shown = {
            int(datetime.fromisoformat(one["from"]).timestamp()): one["counters"]["accepted"]
            for one in answer["buckets"]
        }
        assert {at_s: n for at_s, n in shown.items() if n} == {
            at_s: n for at_s, n in right.items() if at_s in shown
        }
        assert len(shown) >= 60
    by_quarter = await asked.live("/campaigns/minutes/series", {"attribution": "event", "interval": "hour"})
    assert by_quarter["totals"]["accepted"] == len(ages)


def _sent_at(at_ms: int, nth: int) -> RawRecord:
    sent = {
        **{"tenant": TENANT, "channel": "whatsapp", "campaign": "minutes", "outcome": "accepted"},
        **{"contact": {"id": f"m{nth}", "phone": f"551199999{nth:04}"}, "phone_number_id": "106540352242922"},
        **{"message_id": f"wamid.minutes{nth}", "time": at_ms},
    }
    return RawRecord(SEND_RESULTS, None, orjson.dumps(sent))


async def _check_breakdowns(asked: Asked, campaign: str) -> None:
    """Compare each breakdown with the campaign's answer, and hours and ages with SQL of their own."""
    path = f"/campaigns/{quote(campaign, safe='')}"
    answer = await asked.get(path)
    right = answer["totals"]
    found = {by: await asked.live(f"{path}/breakdown", {"by": by}) for by in WAYS}
    of_templates = {_named(one["template"]): one["counters"] for one in answer["templates"]}
    for one in found["template"]["groups"]:
        shown = of_templates.pop(_named(one["template"]))
        assert {name: n for name, n in one["counters"].items() if name in shown} == {
            name: shown[name] for name in one["counters"] if name in shown
        }
    assert not any(any(map(bool, counters.values())) for counters in of_templates.values())
    for by in ("number", "market", "hour"):
        for name, number in found[by]["totals"].items():
            assert sum(one["counters"][name] for one in found[by]["groups"]) == number, (by, name)
            assert number == right.get(name, 0)
    reasons = {one["error"]: one["counters"]["failed"] for one in found["error"]["groups"]}
    assert reasons == right["errors"]
    prices = {
        f"{one['category']}/{kind}": n
        for one in found["category"]["groups"]
        if one["category"]
        for kind, n in one["types"].items()
    }
    assert prices == right.get("pricing", {})
    assert sum(one["counters"]["accepted"] for one in found["category"]["groups"]) == right.get("accepted", 0)
    for zone in ZONES:
        by_hour = await asked.live(
            f"{path}/breakdown", {"by": "hour", "timezone": zone, "counter": "attempts"}
        )
        shown = {one["hour"]: one["counters"]["attempts"] for one in by_hour["groups"]}
        assert {hour: n for hour, n in shown.items() if n} == await asked.hours(zone, campaign)
    same_age = await asked.live(f"{path}/same-age", {})
    last = same_age["ages"][-1]
    assert last["accepted"] == right.get("accepted", 0)
    for name, times in (("delivered", "time_to_deliver"), ("read", "time_to_read")):
        told = right.get(times, {"count": 0, "negative": 0})
        assert 0 <= last[name] <= told["count"] + told["negative"]


@pytest.mark.asyncio
async def test_totals_are_the_campaigns_also_by_template_of_which_a_customer_had_several(
    database: str,
) -> None:
    made, now_s = World(), int(time.time())
    for nth, template in enumerate(("promo", "news")):
        named = {"name": template, "language": "nl"}
        made.events.append(send(message_id=f"w{nth}", at=now_s - 7_200 + nth, template=named))
    reply = {"id": "in-1", "type": "text", "timestamp": str(now_s - 3_600), "from": PHONE}
    made.events.append(hook(messages=[reply]))
    names = ("accepted", "contacts_accepted", "replied", "replied_last_touch")
    async with answering(database, made) as api:
        for path in ("/v1/tenants/t1/campaigns/c1/series", "/v1/tenants/t1/series"):
            query = f"{path}?interval=week&compare=previous_period&counter={','.join(names)}"
            answers = [
                orjson.loads((await api.ask(query + more))[1])
                for more in ("", "&group_by=template", "&group_by=market", "&group_by=number")
            ]
            assert [one["totals"] for one in answers] == [dict(zip(names, (2, 1, 1, 1), strict=True))] * 4
            for one in answers:
                assert (one["buckets"], one["previous"]) == (answers[0]["buckets"], answers[0]["previous"])
            groups = {one["template"]["name"]: one["totals"] for one in answers[1]["groups"]}
            assert groups == {
                "news": dict(zip(names, (1, 1, 1, 1), strict=True)),
                "promo": dict(zip(names, (1, 1, 1, 0), strict=True)),
            }


def _named(template: dict[str, Any]) -> tuple[str, str]:
    return template["name"], template["language"]


async def _check_days(asked: Asked, path: str, zone: str, days: dict[str, int]) -> None:
    query = {"timezone": zone, "from": min(days), "to": max(days), "counter": "accepted"}
    by_day = await asked.live(path, query)
    shown = {one["from"][:10]: one["counters"]["accepted"] for one in by_day["buckets"]}
    assert {day: count for day, count in shown.items() if count} == days
    by_hour = await asked.live(path, {**query, "interval": "hour"})
    assert by_hour["totals"] == by_day["totals"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("timezone=CEST", 400, "timezone must be an IANA name"),
        ("from=2026-01-01&to=2026-02-01T00:00:00Z", 400, "both be dates, or both instants"),
        ("from=2026-02-02&to=2026-02-01", 400, "from must be before to"),
        ("from=2026-02-30", 400, "from must be a date from 2009 on"),
        ("from=2009-01-01&interval=hour", 400, "more than 10000 buckets"),
        ("from=2026-01-01T00:01:00Z", 400, "at a quarter hour"),
        ("interval=second", 400, "interval must be one of"),
        ("colour=red", 400, "unknown parameter 'colour'"),
        ("interval=minute&attribution=send", 422, "with send hour, day, week, month are"),
        ("interval=minute&from=2026-01-01", 422, "the last 48 hours"),
        ("attribution=event&group_by=template", 422, "attribution=send"),
        ("attribution=event&counter=contacts", 422, "accepted, sent, delivered"),
        ("counter=errors", 422, "counter=errors is not told"),
    ],
)
async def test_what_cannot_be_read_is_a_400_and_what_no_cell_can_tell_a_422_that_says_what_is_possible(
    api: Api, query: str, status: int, says: str
) -> None:
    response, body = await api.ask(f"/v1/tenants/t1/campaigns/c1/series?{query}")
    assert response.status == status
    assert says in orjson.loads(body)["error"]["message"]
