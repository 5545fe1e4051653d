"""Real worker processes for tests, started as a supervisor starts them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

from tally.streams.dev.free_port import free_port
from tally.streams.settings import Settings, load, variable
from tests.support.keys import LET_IN_SECONDS, PRESENTED, SHOWN, answers_of, put_key

READY_SECONDS = 45.0
COMMAND_SECONDS = 60.0


class WorkerProcess:
    """One `tally worker` with its own port and, unless one is given, its own state folder.

    It is one process, unless it is told otherwise.
    """

    def __init__(self, environment: dict[str, str], folder: Path, name: str, **more: str) -> None:
        self.name = name
        self.state = Path(more.pop("state_folder", str(folder / name)))
        own = {
            variable("web_port"): str(free_port(0)),
            variable("metrics_port"): str(free_port(0)),
            variable("state_folder"): str(self.state),
            **{variable(setting): value for setting, value in more.items()},
        }
        self.environment = {variable("processes"): "1", **environment, **own}
        self.settings = load(self.environment)
        self.url = f"http://127.0.0.1:{self.settings.web_port}"
        self.metrics_url = f"http://127.0.0.1:{self.settings.metrics_port}"
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.command: tuple[str, ...] = (sys.executable, "-m", "tally.streams.cli", "worker")

    def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self.command,
                env={**clean, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_seconds: float) -> int:
        """Wait for the end and return the exit code."""
        assert self.process is not None
        return self.process.wait(timeout_seconds)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def ready(self) -> None:
        try:
            async with answers_of(self) as answers:
                await answers.wait_until_ready(READY_SECONDS)
            await self.let_in()
        except Exception as error:
            raise AssertionError(self.log.read_text()[-3000:]) from error

    async def let_in(self) -> None:
        """Put the key of tests into its topic if it is not there, and wait until the worker knows it."""
        if "view" not in self.settings.roles:
            return
        async with asyncio.timeout(LET_IN_SECONDS), aiohttp.ClientSession(headers=SHOWN) as http:
            if await self._status(http) == 401:
                await put_key(self.settings)
            while await self._status(http) in (401, 503):
                await asyncio.sleep(0.05)

    async def _status(self, http: aiohttp.ClientSession) -> int:
        async with http.get(self.url + "/v1/tenants/-/campaigns?limit=1") as response:
            return response.status


@contextmanager
def workers(environment: dict[str, str], folder: Path, *names: str) -> Iterator[list[WorkerProcess]]:
    """Create workers, and kill them at the end even if the test fails."""
    made = [WorkerProcess(environment, folder, name) for name in names]
    try:
        yield made
    finally:
        for worker in made:
            worker.kill()


@asynccontextmanager
async def tally_process(
    environment: dict[str, str], log: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a `tally` command, and kill it at the end even if the test fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tally.streams.cli", *arguments),
            env={**clean, **environment},
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def said(environment: dict[str, str], log: Path, *arguments: str) -> tuple[int, str]:
    """Run a `tally` command to its end; return its exit code and output.

    It runs in a process, since a command may set signal handlers, which only a main thread can.
    """
    async with asyncio.timeout(COMMAND_SECONDS), tally_process(environment, log, *arguments) as process:
        exit_code = await process.wait()
    return exit_code, await asyncio.to_thread(log.read_text)


def environment_of(bootstrap: str, dsn: str, prefix: str, **more: str) -> dict[str, str]:
    return {
        variable("kafka_bootstrap"): bootstrap,
        variable("postgres_dsn"): dsn,
        variable("topic_prefix"): prefix,
        variable("partitions"): "4",
        variable("replication_factor"): "1",
        variable("api_key"): PRESENTED.text,
        # Limits have tests of their own.
        variable("reads_per_second"): "1000000",
        variable("reads_burst"): "1000000",
        **{variable(name): value for name, value in more.items()},
    }


def settings_of(environment: dict[str, str]) -> Settings:
    return load(environment)


async def until_exit(worker: WorkerProcess, timeout_seconds: float) -> int:
    return await asyncio.to_thread(worker.wait, timeout_seconds)
