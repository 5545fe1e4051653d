"""Faults of worker processes and their wires to the broker; each asserts that it took effect."""

import asyncio
import shutil
import signal
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from tests.faults.hooked_worker import HookedWorker
from tests.faults.plan import Strike
from tests.faults.stack import Stack, until

EXIT_SECONDS = 10.0
"""How long a failed process may take to end."""
STOP_SECONDS = 25.0
FIRED_SECONDS = 40.0
PAUSED_SESSIONS = 2.5
"""Length of a pause in session time-outs: enough for the worker's partitions to get new owners."""
BLOCKED_SESSIONS = 3
WRONG = 70


class WorkerNemesis:
    """Faults of workers; the stack's supervisor restarts them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._paused_at: dict[str, float] = {}

    async def kill(self, strike: Strike) -> None:
        await self._signalled(await self._running(strike), signal.SIGKILL, (-signal.SIGKILL,))

    async def terminate(self, strike: Strike) -> None:
        """Stop a worker in order; if the broker is just coming back, its deadline may end it instead."""
        worker = await self._serving(strike)
        await self._signalled(worker, signal.SIGTERM, (0, WRONG), STOP_SECONDS)

    async def wipe(self, strike: Strike) -> None:
        worker = await self._serving(strike)
        self._stack.held.add(worker)
        try:
            worker.signal(signal.SIGKILL)
            await until(lambda: not worker.is_running, EXIT_SECONDS, "killed")
            shutil.rmtree(worker.state)
        finally:
            self._stack.held.discard(worker)

    async def flip_bits(self, strike: Strike) -> None:
        """Kill a worker and damage a file of its local copies, as a faulty disk would."""
        worker = await self._serving(strike)
        await until(lambda: bool(_tables(worker)), FIRED_SECONDS, f"{worker.name} has written local copies")
        self._stack.held.add(worker)
        try:
            worker.signal(signal.SIGKILL)
            await until(lambda: not worker.is_running, EXIT_SECONDS, "killed")
            for path in _tables(worker):
                _flip_bits(path)
        finally:
            self._stack.held.discard(worker)

    async def pause(self, strike: Strike) -> None:
        worker = await self._serving(strike)
        worker.signal(signal.SIGSTOP)
        await until(lambda: _is_stopped(worker), EXIT_SECONDS, "stopped")
        self._paused_at[worker.name] = time.monotonic()

    async def wake(self, strike: Strike) -> None:
        """Wake a zombie: it must exit by itself, since its session has timed out."""
        worker = self._stack.worker(strike.action.worker)
        slept = time.monotonic() - self._paused_at.pop(worker.name)
        enough = worker.settings.session_timeout_seconds * PAUSED_SESSIONS
        await asyncio.sleep(max(0.0, enough - slept))
        await self._signalled(worker, signal.SIGCONT, (WRONG,))

    async def raise_(self, strike: Strike) -> None:
        await self._at_point(strike, "raise", WRONG)

    async def kill_at_point(self, strike: Strike) -> None:
        await self._at_point(strike, "kill", -signal.SIGKILL)

    async def block(self, strike: Strike) -> None:
        worker = self._stack.worker(strike.action.worker)
        seconds = worker.settings.session_timeout_seconds * BLOCKED_SESSIONS
        await self._at_point(strike, f"block {seconds}", WRONG)

    async def cut_kafka(self, strike: Strike) -> None:
        await self._serving(strike)
        wire = self._stack.kafka_wire(strike.action.worker)
        struck = wire.struck
        wire.cut()
        assert wire.struck > struck, "nobody was connected"

    async def stall_kafka(self, strike: Strike) -> None:
        await self._serving(strike)
        wire = self._stack.kafka_wire(strike.action.worker)
        struck = wire.struck
        wire.stall()
        assert wire.struck > struck, "nobody was connected"

    async def mend_kafka(self, strike: Strike) -> None:
        self._stack.kafka_wire(strike.action.worker).mend()

    async def fence(self, _: Strike) -> None:
        """Take over the transactional ids of all partitions, as another owner would.

        This waits until they are open: a later opening would fence these producers in turn.
        """
        await asyncio.gather(*(self._stack.ready(worker) for worker in self._stack.workers))
        seen = len(self._stack.exits)
        settings = self._stack.settings
        for partition in range(settings.partitions):
            producer = AIOKafkaProducer(
                **settings.kafka.client(), transactional_id=f"{settings.names.app}/{partition}"
            )
            await asyncio.wait_for(producer.start(), FIRED_SECONDS)
            await asyncio.wait_for(producer.stop(), FIRED_SECONDS)
        await until(
            lambda: any(code == WRONG for _, code in self._stack.exits[seen:]), FIRED_SECONDS, "fenced"
        )

    async def _at_point(self, strike: Strike, what: str, code: int) -> None:
        worker = await self._serving(strike)
        seen = len(self._stack.exits)
        worker.arm(strike.point, what)
        await until(lambda: worker.has_fired(strike.point), FIRED_SECONDS, f"{what} at {strike.point}")
        await self._ended(worker, (code,), EXIT_SECONDS, seen)

    async def _signalled(
        self,
        worker: HookedWorker,
        number: signal.Signals,
        codes: tuple[int, ...],
        timeout_seconds: float = EXIT_SECONDS,
    ) -> None:
        seen = len(self._stack.exits)
        worker.signal(number)
        await self._ended(worker, codes, timeout_seconds, seen)

    async def _ended(
        self, worker: HookedWorker, codes: tuple[int, ...], timeout_seconds: float, seen: int
    ) -> None:
        exits = self._stack.exits
        await until(
            lambda: any(name == worker.name and code in codes for name, code in exits[seen:]),
            timeout_seconds,
            f"{worker.name} ends with one of {codes}",
        )

    async def _running(self, strike: Strike) -> HookedWorker:
        worker = self._stack.worker(strike.action.worker)
        await until(lambda: worker.is_running, EXIT_SECONDS, f"{worker.name} runs")
        return worker

    async def _serving(self, strike: Strike) -> HookedWorker:
        worker = await self._running(strike)
        await self._stack.serving(worker)
        return worker


def _tables(worker: HookedWorker) -> list[Path]:
    return sorted(worker.state.rglob("*.sst"))


def _flip_bits(path: Path) -> None:
    """Flip a bit of every 512th byte of a file."""
    damaged = bytearray(path.read_bytes())
    for place in range(0, len(damaged), 512):
        damaged[place] ^= 1
    path.write_bytes(damaged)


def _is_stopped(worker: HookedWorker) -> bool:
    assert worker.process is not None
    status = Path(f"/proc/{worker.process.pid}/stat").read_text(encoding="ascii")
    return status.rpartition(")")[2].split()[0] == "T"
