"""The programs in examples/ work as described against a running worker."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tally.deploy import migrate
from tests.support.client import load_client
from tests.support.gateway import gateway
from tests.support.keys import PRESENTED
from tests.support.servers import Kafka
from tests.support.workers import environment_of, workers

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MOST_LINES = 80
SENT = 25
RUN_SECONDS = 60.0

pytestmark = [pytest.mark.long, pytest.mark.asyncio]


async def run(name: str, *arguments: str) -> list[str]:
    """Run a program to its end; return the lines that it printed."""
    async with asyncio.timeout(RUN_SECONDS):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(EXAMPLES / name), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"TALLY_API_KEY": PRESENTED.text},
        )
        printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode().splitlines()


async def test_a_producer_publishes_what_a_poller_sees_live(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(migrate.up, database)
    prefix = f"x{uuid4().hex[:8]}-"
    with workers(environment_of(kafka.bootstrap, database, prefix), tmp_path, "worker") as (worker,):
        worker.start()
        await worker.ready()
        before = await run("poller.py", worker.url, "example", "c1", "1")
        published = await run("producer.py", kafka.bootstrap, "c1", "20", prefix)
        poller = asyncio.create_task(run("poller.py", worker.url, "example", "c1", "8"))
        again = await run("producer.py", kafka.bootstrap, "c1", "20", prefix)
        after = await poller

    assert published == again == ["70 events are safe"]
    assert set(before) == {"nothing is counted for this campaign yet"}
    assert after[-1].startswith("accepted 20, sent 20, delivered 20, read 10, failed 0 (everything before 2")


async def test_the_client_posts_to_a_gateway_and_reads_from_a_worker(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(migrate.up, database)
    environment = environment_of(kafka.bootstrap, database, f"x{uuid4().hex[:8]}-")
    with workers(environment, tmp_path, "worker") as (worker,):
        worker.start()
        await worker.ready()
        async with gateway(environment, tmp_path / "gateway.log", gateway_apps="[]") as running:
            await running.ready()
            seen = await asyncio.to_thread(used, worker.url, running.url)
        assert await run("client.py", worker.url, "example") == [f"c1 November {json.dumps(seen['totals'])}"]


def used(worker_url: str, gateway_url: str) -> Any:
    """Use the client as its reader would: post, read until it is counted, and ask each list."""
    client = load_client()
    sends, reads = (client.Tally(url, "example", PRESENTED.text) for url in (gateway_url, worker_url))
    now_ms = time.time_ns() // 1_000_000
    events = [
        {
            **{"tenant": "example", "channel": "whatsapp", "campaign": "c1", "outcome": "accepted"},
            **{"contact": {"id": number, "wa_id": f"1555{number:07}"}, "time": now_ms},
            **{"template": {"name": f"t{number}", "language": "en"}, "phone_number_id": "1"},
            "message_id": f"wamid.{number}",
        }
        for number in range(SENT)
    ]
    named = [{"tenant": "example", "campaign": "c1", "name": "November", "planned": 30, "time": now_ms}]
    assert sends.post("send-results", events, dry_run=True)["items"] == SENT
    assert sends.post("send-results", events) == {"accepted": SENT}
    assert sends.post("campaigns", named) == {"accepted": 1}
    with pytest.raises(client.Refused, match="422 bad_items"):
        sends.post("send-results", [events[0] | {"tenant": "another"}])
    with pytest.raises(client.Refused, match="404 unknown_campaign"):
        reads.campaign("none")
    events_seen = []
    for event, data in reads.stream(campaign="c1"):
        events_seen.append(event)
        if (data.get("campaign") or {}).get("name") and data["campaign"]["totals"]["accepted"] == SENT:
            break
    assert events_seen[0] in ("snapshot", "receipt")
    campaign = reads.campaign("c1")
    assert campaign["name"] == "November"
    assert [one["campaign"] for one in reads.campaigns()] == ["c1"]
    assert len(list(reads.templates("c1"))) == SENT
    assert reads.progress("c1")["left"] == 5
    assert list(reads.operators()) == list(reads.queues()) == []
    assert {*reads.series("c1", interval="hour")} >= {"buckets", "totals", "receipt"}
    return campaign


async def test_a_new_counter_is_tried_on_the_published_examples() -> None:
    files = [
        str(file)
        for topic in ("send-results", "webhook-events")
        for file in sorted((ROOT / "tally" / "schemas" / "examples" / topic).glob("*.json"))
    ]

    printed = await run("new_counter.py", *files)

    # HBgM3 was delivered and not read; HBgM1 was read, HBgM2 failed, HBgM4 belongs to no campaign.
    assert [line for line in printed if not line.endswith(" 0")] == [
        "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e: delivered_unread 1"
    ]


async def test_examples_are_short() -> None:
    programs = sorted(EXAMPLES.glob("*.py"))
    assert [program.name for program in programs] == [
        "client.py",
        "new_counter.py",
        "poller.py",
        "producer.py",
    ]
    assert all(
        len(program.read_text().splitlines()) <= (MOST_LINES if program.name != "client.py" else 120)
        for program in programs
    )
