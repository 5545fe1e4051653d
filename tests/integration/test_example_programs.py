"""The programs in examples/ work as described against a running worker."""

import asyncio
import os
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tally.deploy import migrate
from tests.support.keys import PRESENTED
from tests.support.servers import Kafka
from tests.support.workers import environment_of, workers

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MOST_LINES = 80
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
        poller = asyncio.create_task(run("poller.py", worker.url, "example", "c1", "8"))
        await asyncio.sleep(2.0)
        published = await run("producer.py", kafka.bootstrap, "c1", "20", prefix)
        again = await run("producer.py", kafka.bootstrap, "c1", "20", prefix)
        printed = await poller

    assert published == again == ["70 events are safe"]
    assert printed[0] == "nothing is counted for this campaign yet"
    assert printed[-1].startswith(
        "accepted 20, sent 20, delivered 20, read 10, failed 0 (everything before 2"
    )


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
    assert [program.name for program in programs] == ["new_counter.py", "poller.py", "producer.py"]
    assert all(len(program.read_text().splitlines()) <= MOST_LINES for program in programs)
