"""The audit of a worker's answers, once and continuously, on real Kafka, Postgres and a real worker."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tally.schemas.grains import RowKey
from tally.streams.audit.examine import examine
from tally.streams.dev.free_port import free_port
from tally.streams.settings import load, variable
from tests.support.exposed import until_measured
from tests.support.judge import counted, prepare, publish, simulated
from tests.support.servers import Kafka
from tests.support.view_between import Between, between
from tests.support.workers import WorkerProcess, environment_of, said, tally_process, workers

pytestmark = [pytest.mark.long, pytest.mark.asyncio, pytest.mark.timeout(240)]

STOP_SECONDS = 20.0
FLOW_SECONDS = 20.0


@pytest.fixture
def environment(kafka: Kafka, database: str) -> dict[str, str]:
    more = {"audit_metrics_port": str(free_port(0))}
    return environment_of(kafka.bootstrap, database, f"v{uuid4().hex[:8]}-", **more)


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[WorkerProcess]:
    with workers(environment, tmp_path, "v") as (made,):
        yield made


def answered_more(body: dict[str, Any]) -> None:
    if (body["tenant"], body.get("campaign")) == ("tenant-0", "v7000"):
        body["totals"]["answered"] += 3


def operators_connect_less(body: dict[str, Any]) -> None:
    if body["tenant"] == "tenant-0":
        for operator in body.get("operators", [])[:1]:
            operator["counts"]["connects"] -= 1


def far_behind(body: dict[str, Any]) -> None:
    body["receipt"]["progress"] = dict.fromkeys(body["receipt"]["progress"], 0)


async def test_answers_are_what_rows_come_to_and_a_wrong_one_is_found(
    environment: dict[str, str], worker: WorkerProcess, tmp_path: Path
) -> None:
    settings = load(environment)
    await prepare(environment)
    worker.start()
    await worker.ready()
    await publish(environment, simulated(seed=602, contacts_per_campaign=40))
    await counted(worker)

    found = await examine(settings, with_raw=False, view=worker.url)
    assert (found.drift, found.view_behind) == ([], 0)
    assert found.compared == ["states", "cells", "postgres", "view"]

    async with between(worker.url) as view:
        view.change = operators_connect_less
        (wrong,) = (await examine(settings, with_raw=False, view=view.url)).drift
        assert (wrong.source, wrong.partition, wrong.row.campaign) == ("view", None, "")
        assert (wrong.counter, wrong.counted - wrong.held) == ("connects", -1)

        view.change = far_behind
        late = await examine(settings, with_raw=False, view=view.url)
        assert (late.drift, late.view_behind > 50) == ([], True)

        view.change = answered_more
        (wrong,) = (await examine(settings, with_raw=False, view=view.url)).drift
        assert wrong.row == RowKey("tenant-0", "v7000", None)
        assert (wrong.source, wrong.counter, wrong.counted - wrong.held) == ("view", "answered", 3)
        exit_code, output = await said(environment, tmp_path / "log", "audit", "--view", view.url)
        assert exit_code == 1, output
        assert "1 counters differ" in output
        keyless = environment | {variable("api_key"): ""}
        exit_code, output = await said(keyless, tmp_path / "keyless", "audit", "--view", worker.url)
        assert exit_code != 0
        assert "TALLY_API_KEY must be a key with `read` for all tenants" in " ".join(output.split())
        await audited_again_and_again(environment, view, tmp_path / "log")
    logged = (tmp_path / "log").read_text()
    assert "a counter differs" in logged
    assert "HTTP status 503" in logged


async def test_while_events_flow_answers_are_compared_and_nothing_is_wrong(
    environment: dict[str, str], worker: WorkerProcess
) -> None:
    await prepare(environment)
    worker.start()
    await worker.ready()
    records = simulated(seed=603)
    publishing = asyncio.create_task(publish(environment, records, per_second=len(records) / FLOW_SECONDS))
    late = []
    while not publishing.done():
        found = await examine(load(environment), with_raw=False, view=worker.url)
        assert found.drift == []
        late.append(found.view_behind)
    await publishing
    assert 0 in late


async def audited_again_and_again(environment: dict[str, str], view: Between, log: Path) -> None:
    port = load(environment).audit_metrics_port
    command = ("audit", "--every", "1", "--view", view.url)
    async with tally_process({**environment, variable("log_format"): "json"}, log, *command) as process:
        metrics = await until_measured(port, lambda m: m["tally_audit_timestamp_seconds", ""] > 0)
        assert metrics["tally_audit_drift", "view"] == 1
        assert metrics["tally_audit_drift", "states"] == metrics["tally_audit_drift", "postgres"] == 0
        assert ("tally_audit_drift", "raw") not in metrics
        assert metrics["tally_audit_rows", ""] > 50
        assert metrics["tally_audit_failures_total", ""] == 0

        view.is_broken = True
        await until_measured(port, lambda m: m["tally_audit_failures_total", ""] > 0)
        view.is_broken, view.change = False, lambda _: None
        await until_measured(port, lambda m: m["tally_audit_drift", "view"] == 0)

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            assert await process.wait() == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "nowhere"])
async def test_a_worker_that_is_not_there_is_no_drift_and_ends_with_2(
    environment: dict[str, str], tmp_path: Path, url: str
) -> None:
    await prepare(environment)
    asked = ("audit", "--view", url.format(port=free_port(0)))
    exit_code, output = await said(environment, tmp_path / "log", *asked)
    assert exit_code == 2, output
    assert "view" in output
