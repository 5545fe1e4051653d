"""Who does it: faults on real processes, each of which says what it has seen happen."""

import asyncio
import shutil
import signal
from collections.abc import Sequence

from tally.deploy.local import LocalServers
from tests.faults.plan import Strike
from tests.support.workers import WorkerProcess, until_exit

EXIT_SECONDS = 30.0
AWAY_SECONDS = 2.0
PAUSED_SESSIONS = 2.5
"""How many session time-outs a paused worker sleeps: long enough that its partitions have new owners."""


class Nemesis:
    """Strikes at workers and servers, and leaves all of them running."""

    def __init__(self, workers: Sequence[WorkerProcess], servers: LocalServers) -> None:
        self._workers = workers
        self._servers = servers
        self.restarts = 0

    async def strike(self, strike: Strike) -> None:
        """Do one fault and undo it. Raises AssertionError where it did not happen as meant."""
        worker = self._workers[strike.worker]
        await {
            "kill": self._kill,
            "terminate": self._terminate,
            "pause": self._pause,
            "wipe": self._wipe,
            "postgres": self._postgres,
            "broker": self._broker,
        }[strike.kind](worker)
        await self.revive()

    async def revive(self) -> None:
        """Start workers that have ended: what a supervisor does."""
        for worker in self._workers:
            if not worker.is_running:
                worker.start()
                self.restarts += 1

    async def _kill(self, worker: WorkerProcess) -> None:
        assert worker.is_running
        worker.signal(signal.SIGKILL)
        assert await until_exit(worker, EXIT_SECONDS) == -signal.SIGKILL

    async def _terminate(self, worker: WorkerProcess) -> None:
        worker.signal(signal.SIGTERM)
        assert await until_exit(worker, EXIT_SECONDS) == 0, worker.log.read_text()[-2000:]

    async def _pause(self, worker: WorkerProcess) -> None:
        """A zombie: it wakes up past the session's time-out, and has to exit by itself."""
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(worker.settings.session_timeout_seconds * PAUSED_SESSIONS)
        worker.signal(signal.SIGCONT)
        assert await until_exit(worker, EXIT_SECONDS) != 0

    async def _wipe(self, worker: WorkerProcess) -> None:
        await self._kill(worker)
        shutil.rmtree(worker.state)

    async def _postgres(self, _: WorkerProcess) -> None:
        await asyncio.to_thread(self._servers.postgres.stop_immediately)
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(self._servers.postgres.restart)

    async def _broker(self, _: WorkerProcess) -> None:
        await asyncio.to_thread(self._servers.kafka.kill)
        await asyncio.to_thread(self._servers.kafka.restart)
