"""The environment of a section: a separate database, and processes with given roles."""

import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from tally.streams.dev.database import with_database
from tally.streams.settings import variable
from tests.support.servers import execute
from tests.support.workers import WorkerProcess, until_exit

COUNTED_SECONDS = 300.0
"""How long a worker that fell behind a load may take for the rest."""
STOP_SECONDS = 40.0


@asynccontextmanager
async def own_database(environment: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Make a database on the server of an environment, yield the environment with it, and drop it."""
    dsn, name = environment[variable("postgres_dsn")], f"bench_{uuid4().hex}"
    await execute(dsn, f"CREATE DATABASE {name}")
    try:
        yield {**environment, variable("postgres_dsn"): with_database(dsn, name)}
    finally:
        await execute(dsn, f"DROP DATABASE {name}")


@asynccontextmanager
async def process(
    environment: Mapping[str, str], folder: Path, name: str, roles: str, state: str
) -> AsyncIterator[WorkerProcess]:
    """Run a process with these roles on the named state, and stop it as a deployment would."""
    worker = WorkerProcess(dict(environment), folder, name, roles=roles, state_folder=str(folder / state))
    worker.start()
    try:
        yield worker
        await stopped(worker)
    finally:
        worker.kill()


async def stopped(worker: WorkerProcess) -> float:
    """Stop a worker by SIGTERM; return the seconds it took. Raises AssertionError unless it exits with 0."""
    began_s = time.monotonic()
    worker.signal(signal.SIGTERM)
    code = await until_exit(worker, STOP_SECONDS)
    assert code == 0, f"{worker.name} ended with {code}: {worker.log.read_text()[-2000:]}"
    return time.monotonic() - began_s


def pid_of(worker: WorkerProcess) -> int:
    """Return the process id of a running worker."""
    assert worker.process is not None
    return worker.process.pid
