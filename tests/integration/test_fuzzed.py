"""Requests that are made up from the descriptions, valid ones and others, against a real worker and gateway.

schemathesis makes them. None is answered with a failure of the server, with a status, type or body that the
description does not say, or taken although it is invalid; and none is answered without a key.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tally.deploy import migrate
from tally.streams.settings import load
from tests.support.gateway import gateway
from tests.support.keys import PRESENTED, put_key
from tests.support.seeds import DRAWN
from tests.support.servers import Kafka
from tests.support.workers import environment_of, workers

pytestmark = [pytest.mark.long, pytest.mark.asyncio, pytest.mark.timeout(1_200)]

FUZZED_SECONDS = int(os.environ.get("FUZZED_SECONDS", "18"))
"""Of each server; `make fuzz` takes longer."""
DEADLINE_SECONDS = FUZZED_SECONDS + 100.0
NOT_CHECKED = (
    # Names of zones and instants of buckets are texts to a schema, and 400 where there are none of them.
    "positive_data_acceptance",
    # There is nothing to make and to delete: what is posted is counted, and stays.
    "use_after_free",
    "ensure_resource_availability",
    "object_level_authorization",
)
FAST = {
    "reads_per_second": "100000",
    "reads_burst": "100000",
    "posts_per_second": "100000",
    "posts_burst": "100000",
}


REFUSED = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "408", "413", "415", "421", "422", "503"]
"""


async def fuzz(url: str, folder: Path, seed: int) -> str:
    """Fuzz a server by its own description; return what was found wrong, empty if nothing."""
    (folder / "schemathesis.toml").write_text(REFUSED)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {PRESENTED.text}"),
        *("--max-time", str(FUZZED_SECONDS), "--seed", str(seed), "--phases", "coverage,fuzzing"),
        *("--exclude-checks", ",".join(NOT_CHECKED), "--continue-on-failure", "--warnings", "off"),
        # A stream has no end: tests of its own read it.
        *("--exclude-operation-id", "stream", "--request-timeout", "20", "--no-shrink"),
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "120"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        printed, _ = await process.communicate()
    made = re.search(r"(\d+) generated", printed.decode())
    assert made is not None, printed.decode()
    assert int(made[1]) > 0
    return printed.decode() if process.returncode else ""


async def test_a_worker_answers_whatever_is_asked_as_it_says(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(migrate.up, database)
    environment = environment_of(kafka.bootstrap, database, f"z{uuid4().hex[:8]}-", **FAST)
    with workers(environment, tmp_path, "worker") as (worker,):
        worker.start()
        await worker.ready()
        found = await fuzz(worker.url, tmp_path, int(os.environ[DRAWN]))
        assert not found, found
        assert worker.is_running


async def test_a_gateway_answers_whatever_is_posted_as_it_says(kafka: Kafka, tmp_path: Path) -> None:
    environment = environment_of(
        kafka.bootstrap, "postgresql://nobody@127.0.0.1:1/none", f"z{uuid4().hex[:8]}-"
    )
    await put_key(load(environment))
    async with gateway(environment, tmp_path / "gateway.log", **FAST) as running:
        await running.ready()
        found = await fuzz(running.url, tmp_path, int(os.environ[DRAWN]))
        assert not found, found
        assert running.process.returncode is None
