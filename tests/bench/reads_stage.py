"""What the read benchmark runs on: a database of its own, and processes with the roles that are wanted."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg

from tally.streams.demo.answers import Answers
from tally.streams.demo.database import with_database
from tests.bench.reads_counts import Counts
from tests.bench.reads_events import TENANT
from tests.support.workers import WorkerProcess, until_exit

DEADLINE_SECONDS = 30.0
COUNTED_SECONDS = 300.0
STOP_SECONDS = 30.0


@asynccontextmanager
async def own_database(dsn: str) -> AsyncIterator[str]:
    """Make a database on a server, yield its DSN, and drop it."""
    name = f"reads_{uuid4().hex}"
    await _execute(dsn, f"CREATE DATABASE {name}")
    try:
        yield with_database(dsn, name)
    finally:
        await _execute(dsn, f"DROP DATABASE {name}")


@asynccontextmanager
async def process(
    environment: Mapping[str, str], folder: Path, name: str, roles: str, state: str
) -> AsyncIterator[WorkerProcess]:
    """Run a process with these roles on the named state, and stop it as a deployment would."""
    worker = WorkerProcess(dict(environment), folder, name, roles=roles, state_folder=str(folder / state))
    worker.start()
    try:
        yield worker
        worker.signal(signal.SIGTERM)
        code = await until_exit(worker, STOP_SECONDS)
        assert code == 0, f"{name} ended with {code}: {worker.log.read_text()[-2000:]}"
    finally:
        worker.kill()


async def counted(view: WorkerProcess) -> None:
    """Wait until everything published so far is in the answers of a process."""
    async with Answers(view.url) as answers:
        await answers.wait_until_counted(time.time() * 1000, COUNTED_SECONDS)


async def check_answers(view: WorkerProcess, expected: Mapping[str, Counts]) -> None:
    """Compare the totals of campaigns with plain counts. Raises AssertionError."""
    async with Answers(view.url) as answers:
        for campaign, counts in expected.items():
            totals = (await answers.get(path_of(campaign)))["totals"]
            shown = {name: totals[name] for name in counts}
            assert shown == counts, f"{campaign}: the API says {shown}, a plain count {counts}"


def path_of(campaign: str) -> str:
    """Return the address of a campaign in the read API."""
    return f"/v1/tenants/{TENANT}/campaigns/{campaign}"


def pid_of(worker: WorkerProcess) -> int:
    """Return the id of a process that runs."""
    assert worker.process is not None
    return worker.process.pid


async def _execute(dsn: str, statement: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
