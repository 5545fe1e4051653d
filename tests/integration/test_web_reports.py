"""The answer that shows that numbers are right: what was reported, how old it is, and who may see it."""

import orjson
import pytest
from msgspec import structs

from tally.agents.clock import unix_ms
from tally.schemas.reports import AuditReport, GatewayReport, Letters, Reporter
from tally.streams.keys.key import Key, digest_of
from tally.streams.keys.managing import new_key
from tally.streams.reports.kept import FORGOTTEN_MS
from tests.support.view_rows import put_progress
from tests.support.web_api import Api

pytestmark = pytest.mark.asyncio

PATH = "/v1/tenants/t1/reports"
AUDIT = AuditReport(
    300.0,
    1_795_000_000_000,
    812,
    rows=40,
    behind_rows=2,
    drift={"states": 0, "cells": 1},
    raw="not asked for",
    failures=3,
    dead_letters={"not_json": Letters(2, 1_795_000_000_500)},
)
GATEWAY = GatewayReport(
    1_794_000_000_000, True, {"accepted": 9, "forged": 1}, {"refused": 4}, 1_795_000_000_000
)


async def test_the_answer_has_each_report_with_its_age_and_every_partition(api: Api) -> None:
    api.catch_up()
    put_progress(api.view, 0, 10, seq=10, waiting=7)
    api.lag.note_facts_ends({0: 15, 1: 11})
    now_ms = unix_ms()
    api.reports.put(Reporter("audit", "b:6068"), now_ms - 20_000, AUDIT)
    api.reports.put(Reporter("audit", "a:6068"), now_ms - 90_000, structs.replace(AUDIT, dead_letters={}))
    api.reports.put(Reporter("gateway", "a:6070"), now_ms - 1_000, GATEWAY)
    api.reports.put(Reporter("gateway", "gone:6070"), now_ms - FORGOTTEN_MS, GATEWAY)
    response, body = await api.ask(PATH)
    answer = orjson.loads(body)
    assert response.status == 200
    assert [one["name"] for one in answer["audits"]] == ["a:6068", "b:6068"]
    shown = answer["audits"][1]
    assert 20_000 <= shown.pop("age_ms") < 25_000
    assert shown.pop("reported_at")
    assert shown == {
        "name": "b:6068",
        "every_seconds": 300.0,
        "audited_at": "2026-11-18T11:06:40.000Z",
        "took_ms": 812,
        "rows": 40,
        "behind_rows": 2,
        "drift": {"states": 0, "cells": 1},
        "raw": "not asked for",
        "failures": 3,
    }
    (gateway,) = answer["gateways"]
    assert (gateway["name"], gateway["is_up"], gateway["answers"]) == ("a:6070", True, GATEWAY.answers)
    # Each audit counts the whole topic: the newest report holds, not their sum.
    assert answer["dead_letters"] == [
        {"reason": "not_json", "number": 2, "last_at": "2026-11-18T11:06:40.500Z"}
    ]
    assert answer["partitions"][0] == {
        "partition": 0,
        "counted": 10,
        "behind": 5,
        "waiting_messages": 7,
        "contested_messages": 0,
    }
    assert answer["partitions"][1]["behind"] == 0
    assert answer["behind"]["facts"] == 5
    assert answer["receipt"]["state"] == "live"


async def test_a_key_of_some_tenants_sees_of_the_whole_only_that_it_is_right(api: Api) -> None:
    made = new_key()
    api.keyring.put(made.key_id, Key(digest_of(made.secret), ("read",), ("t1",), 0))
    api.reports.put(Reporter("audit", "a:6068"), unix_ms(), AUDIT)
    api.reports.put(Reporter("gateway", "a:6070"), unix_ms(), GATEWAY)
    _, body = await api.ask(PATH, headers={"Authorization": f"Bearer {made.text}"})
    answer = orjson.loads(body)
    assert answer["audits"][0]["drift"] == {"states": 0, "cells": 1}
    assert answer["gateways"] is answer["dead_letters"] is None


async def test_before_anybody_has_reported_the_lists_are_empty(api: Api) -> None:
    _, body = await api.ask(PATH)
    answer = orjson.loads(body)
    assert answer["audits"] == answer["gateways"] == answer["dead_letters"] == []
    assert answer["partitions"][0]["behind"] is None
