"""A worker under test, as a user starts it: all roles, in so many processes, under a parent of their own."""

import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from bench.processes import command_of, cpu_seconds, is_alive, name_in, rss_bytes, tree_of
from tests.faults.scrapes import read
from tests.support.workers import WorkerProcess, until_exit

STOP_SECONDS = 40.0
GONE_SECONDS = 10.0
POLL_SECONDS = 0.02
ONE, TWO, THREE = 1, 2, 3
"""All in one process; route apart; the view apart too, so that answers do not wait for the fold."""
PARENT = "parent"


class Worker(WorkerProcess):
    """One worker, measured as a whole."""

    def __init__(self, environment: Mapping[str, str], folder: Path, name: str, processes: int) -> None:
        super().__init__(dict(environment), folder, name, processes=str(processes))

    @property
    def pids(self) -> list[int]:
        """Its processes, the parent first."""
        assert self.process is not None
        return tree_of(self.process.pid)

    def kill(self) -> None:
        """End all its processes at once, and wait until they are gone: the next worker needs the cores."""
        if self.process is None or self.process.poll() is not None:
            return
        pids = self.pids
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(GONE_SECONDS)
        ends_s = time.monotonic() + GONE_SECONDS
        while any(map(is_alive, pids)) and time.monotonic() < ends_s:
            time.sleep(POLL_SECONDS)

    async def stopped(self) -> None:
        """Stop it by SIGTERM. Raises AssertionError unless it exits with 0."""
        self.signal(signal.SIGTERM)
        code = await until_exit(self, STOP_SECONDS)
        assert code == 0, f"{self.name} ended with {code}: {self.log.read_text()[-2000:]}"

    async def taken(self) -> float:
        """Return how many raw events it has routed; 0 while it does not answer yet."""
        try:
            return (await read(self)).value("tally_events_total")
        except (aiohttp.ClientError, TimeoutError, AssertionError):
            self.check_running()
            return 0.0

    def check_running(self) -> None:
        """Raise AssertionError, with the end of its log, if it has ended."""
        assert self.is_running, self.log.read_text()[-2000:]

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds that each process has used, by its roles."""
        return {name_in(command_of(pid), PARENT): cpu_seconds(pid) for pid in self.pids}

    def rss_bytes(self) -> int:
        """Return the resident memory of all processes together."""
        return sum(map(rss_bytes, self.pids))


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[None]:
    """Run a worker, and stop it as a deployment would."""
    worker.start()
    try:
        await worker.ready()
        yield
        await worker.stopped()
    finally:
        worker.kill()
