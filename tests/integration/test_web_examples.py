"""The published examples of answers are what the read API answers.

    python -m tests.integration.test_web_examples > tally/streams/web/examples.json

writes them again. Those of numbers that are in Postgres alone stay as they are: no Postgres is here.
"""

import asyncio
import json
import sys
from typing import Any

import orjson
import pytest
import structlog

from tally.agents.clock import unix_ms
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.reports import AuditReport, GatewayReport, Letters, Reporter
from tally.schemas.waiting import Caller, encode_since
from tally.streams.web.endpoints import EXAMPLES
from tally.streams.web.routes import DESCRIPTION, ROUTES
from tests.support.view_rows import PROMO, put, put_operator
from tests.support.web_api import SUBJECTS, Api, serving

AWAY = 503
REQUIRED = {"campaign_breakdown": "?by=market", "campaign_lines": "?counter=accepted"}
SINCE_MS = 1_795_350_870_000
WHATSAPP = {
    **{
        "contacts": 4,
        "attempts": 4,
        "accepted": 3,
        "sent": 3,
        "delivered": 2,
        "read": 2,
        "failed_at_send": 1,
    },
    **{"failed_after_send": 1, "contacts_accepted": 3, "replied": 1, "errors.meta:131026": 1},
    **{
        "errors.meta:132000": 1,
        "pricing.marketing/regular": 2,
        "time_to_deliver.35": 1,
        "time_to_deliver.50": 1,
    },
}
VOICE = {
    **{"contacts": 1, "attempts": 1, "queued": 1, "requested": 1, "attempted": 1, "answered": 1},
    **{"connected_ms": 14_519, "talk_ms": 5_501, "queue_wait_ms": 8_013, "queue_joins": 1, "connects": 1},
    **{"ring_no_answer": 1, "hangup_causes.16": 1, "queues.sales/joins": 1, "queues.sales/connects": 1},
    **{"queues.sales/ring_no_answer": 1, "queues.sales/wait_ms": 8_013, "queues.sales/talk_ms": 5_501},
    **{"queue_waits.sales/8": 1},
}
DESCRIBED = {
    "description.name=November": 1,
    "description.status=running": 1,
    "description.tag=autumn": 1,
    "description.planned=5": 1,
    "description.limit.per_second=80": 1,
}


AT_MS = 1_795_350_800_000
AUDIT = AuditReport(
    900.0,
    AT_MS,
    812,
    12_345,
    3,
    {"states": 0, "cells": 0, "postgres": 0},
    "not asked for",
    dead_letters={"not_json": Letters(12, AT_MS)},
)
ANSWERED = {"accepted": 1_204_331, "handshake": 2, "forged": 3}
TAKEN = {"accepted": 90, "refused": 12, "not_acknowledged": 0}
GATEWAY = GatewayReport(AT_MS - 86_400_000, True, ANSWERED, TAKEN, AT_MS)


def world(api: Api) -> None:
    put(api.view, RowKey("t1", "c1", PROMO), WHATSAPP, channels=("whatsapp",), labels=("102290129340398",))
    put(api.view, RowKey("t1", "c1", None), {"contacts_accepted": 3, "replied": 1, **DESCRIBED})
    put(api.view, RowKey("t1", "4001", Template("offer", "")), VOICE, channels=("voice",))
    paused = {"status": 1, "since_ms": SINCE_MS, "paused": 1}
    member = {f"memberships.sales/{name}": number for name, number in paused.items()}
    counts = {"connects": 1, "talk_ms": 5_501, "memberships.name=Ann": 1, **member}
    put_operator(api.view, "t1", "PJSIP/201", counts)
    put_operator(api.view, "t1", "PJSIP/202", {"ring_no_answer": 1})
    api.view.apply(0, Caller("t1", "pbx01", "sales", "a").encode(), encode_since(SINCE_MS))
    api.reports.put(Reporter("audit", "host:6068"), unix_ms(), AUDIT)
    api.reports.put(Reporter("gateway", "host:6070"), unix_ms(), GATEWAY)
    api.catch_up()


def settled(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose receipt and age do not move."""
    if "receipt" not in answer:
        return answer
    fixed = answer | {"receipt": answer["receipt"] | {"as_of": "2026-11-22T12:34:36.120Z", "lag_ms": 180}}
    if "asked_at" in fixed:
        fixed["asked_at"] = "2026-11-22T12:34:57.000Z"
        for one in (*fixed["audits"], *fixed["gateways"]):
            one |= {"reported_at": "2026-11-22T12:34:20.000Z", "age_ms": 37_000}
    return fixed


async def answers() -> dict[str, Any]:
    """Return the answer of each endpoint that a view alone answers, by the name of the endpoint."""
    found = {}
    async with serving(debug=False) as api:
        world(api)
        for endpoint in ROUTES:
            if endpoint.answer is None or endpoint == DESCRIPTION:
                continue
            query = REQUIRED.get(endpoint.name, "")
            path = endpoint.path.format(tenant="t1", campaign="c1", operator="o1", queue="q1", **SUBJECTS)
            response, body = await api.ask(path + query)
            if response.status != AWAY:
                assert response.status == 200, endpoint.name
                found[endpoint.name] = settled(orjson.loads(body))
    return found


@pytest.mark.asyncio
async def test_each_example_is_what_is_answered() -> None:
    for name, answer in (await answers()).items():
        assert EXAMPLES.get(name) == answer, f"{name}: write the examples again, as this file says above"
    assert {one.name for one in ROUTES if one.answer is not None} - EXAMPLES.keys() == {DESCRIPTION.name}


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    print(json.dumps(dict(sorted({**EXAMPLES, **asyncio.run(answers())}.items())), indent=1))  # noqa: T201
