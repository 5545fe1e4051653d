"""Laws of a worker's start: it waits for late brokers, and it can be stopped while it waits."""

import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio

from tally.deploy.local.folder_lock import FolderLock
from tally.streams.dev.free_port import free_port
from tests.faults.wire import LOOPBACK, Wire
from tests.support.servers import Kafka
from tests.support.waiting import until
from tests.support.workers import WorkerProcess, environment_of, said, until_exit, workers

pytestmark = pytest.mark.asyncio

STOP_SECONDS = 5.0
ASKED_SECONDS = 15.0


@pytest_asyncio.fixture
async def wire(kafka: Kafka) -> AsyncIterator[Wire]:
    """Yield a cut wire to the brokers."""
    wire = Wire(free_port(0), int(kafka.bootstrap.rpartition(":")[2]))
    wire.cut()
    async with await wire.serve():
        yield wire
        await wire.close()


@pytest_asyncio.fixture
async def waiting(wire: Wire, database: str, tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    """Yield a worker that has asked for brokers in vain."""
    environment = environment_of(f"{LOOPBACK}:{wire.port}", database, f"w{uuid4().hex[:8]}-")
    with workers(environment, tmp_path, "early") as (worker,):
        worker.start()
        await until(lambda: worker.log.read_text().count("no broker answers yet") >= 2, ASKED_SECONDS)
        assert worker.is_running
        yield worker


async def test_a_worker_that_starts_before_the_brokers_works_once_they_are_there(
    wire: Wire, waiting: WorkerProcess
) -> None:
    wire.mend()

    await waiting.ready()
    assert waiting.is_running


async def test_a_worker_that_waits_for_brokers_stops_in_order_when_it_is_asked_to(
    waiting: WorkerProcess,
) -> None:
    waiting.signal(signal.SIGTERM)

    assert await until_exit(waiting, STOP_SECONDS) == 0


async def test_a_port_that_is_taken_is_one_line_and_no_reason_to_start_again(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        environment = environment_of(kafka.bootstrap, database, "taken-", web_port=str(port))
        code, told = await said(environment, tmp_path / "log", "worker")

    assert code == 2
    assert told.strip() == (
        f"port {port} of {LOOPBACK} (TALLY_WEB_PORT) cannot be served on: Address already in use"
    )


async def test_a_state_folder_that_another_worker_has_is_one_line(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    states = tmp_path / "states"
    states.mkdir()
    environment = environment_of(
        kafka.bootstrap, database, "shared-", state_folder=str(states), web_port=str(free_port(0))
    )
    with cast(FolderLock, FolderLock.try_take(states)) as held:
        held.name_owner()
        code, told = await said(environment, tmp_path / "log", "worker")

    assert code == 2
    assert told.strip() == (
        f"another worker (process {os.getpid()}) uses {states}: give each one a TALLY_STATE_FOLDER of its own"
    )
