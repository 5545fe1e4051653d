"""Keeps a process such as a worker running: restarts it with backoff and stops it in order."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tally.agents.clock import Backoff

STABLE_SECONDS = 30.0
"""Lifetime after which the backoff is reset, so a worker is restarted after the shortest pause."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
STOP_SECONDS = 25.0
"""A little more than a worker gives itself."""

WORKER: tuple[str, ...] = (sys.executable, "-m", "tally.streams.cli", "worker")


class Supervisor:
    """Runs one worker process at a time until it is told to stop."""

    def __init__(
        self,
        environment: Mapping[str, str],
        log_file: Path,
        say: Callable[[str], None],
        command: Sequence[str] = WORKER,
        name: str = "worker",
    ) -> None:
        self._environment = {**os.environ, **environment}
        self._log_file = log_file
        self._say = say
        self._command = command
        self._name = name
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running worker; None if none runs."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def run(self) -> None:
        """Start the worker again whenever it ends, until `stop`."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, spread=0.0)
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            if loop.time() - began >= STABLE_SECONDS:
                backoff.succeeded()
            pause = backoff.failed(jitter=0.0)
            self._say(f"{self._name} ended with {describe(code)}; starting it again in {pause:g} s")
            await asyncio.wait({asyncio.ensure_future(self._stopping.wait())}, timeout=pause)

    async def _run_once(self) -> int:
        with self._log_file.open("ab") as log:
            # A separate session: Ctrl-C in the terminal reaches only this process, which stops all in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            self.starts += 1
            return await self._process.wait()

    def kill(self) -> None:
        """Send SIGKILL to the running worker."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """Stop the worker in order; kill it if it does not end in time."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def describe(code: int) -> str:
    """Return an exit code in words. Pure."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
