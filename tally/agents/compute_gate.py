"""Lets I/O callbacks run between CPU-bound steps of the event loop, and runs one computation at a time."""

import asyncio
from collections.abc import Callable

TURN_SECONDS = 0.02
"""The longest turn, apart from the step that is running when the time is up."""
HOLD_SECONDS = 0.3
"""How long one computation keeps the gate, turn after turn, before the next one gets it.

Alternating after each turn was rejected. All computations are then in progress at once: each holds what it
has read, finds the CPU caches cold, and ends late. With eight partitions under load it cost a third more
transactions for the same facts, and a sixth more CPU per event.
"""
YIELDS_BETWEEN = 4
"""Rounds of the event loop between two turns.

A commit takes some sixteen steps, and most of them only pass a result on. With one round between turns, each
step waited for one turn of a computation; with four, a commit took three quarters of the time under load.
"""


class ComputeGate:
    """A lock that keeps computations from running back to back without I/O between them.

    Without it, each response of Kafka waits for every computation that is ready, at each of the dozen steps
    of a commit: with eight partitions under load a commit took half as long again.
    """

    def __init__(self, yields: int = YIELDS_BETWEEN) -> None:
        self._yields = yields
        self._lock = asyncio.Lock()

    async def enter(self) -> None:
        """Wait for a turn, in the order of the calls; it lasts until the next await."""
        await self.acquire()
        self.release()

    async def acquire(self) -> None:
        """Wait for a turn, in the order of the calls; it lasts until `release`."""
        await self._lock.acquire()

    def release(self) -> None:
        """Pass the turn on, after the callbacks that are ready by then and those that they schedule."""
        asyncio.get_running_loop().call_soon(self._pass_on, self._yields)

    async def yield_to_io(self) -> None:
        """Let the callbacks that are ready run, and those that they schedule."""
        for _ in range(self._yields):
            await asyncio.sleep(0)

    def _pass_on(self, yields: int) -> None:
        if yields > 1:
            asyncio.get_running_loop().call_soon(self._pass_on, yields - 1)
        else:
            self._lock.release()


class Computation:
    """One computation in turns: I/O runs between them, and other computations run after `HOLD_SECONDS`.

    The clock decides only when it pauses. A caller of `begin` must call `end`, also after an exception.
    """

    def __init__(self, gate: ComputeGate, monotonic: Callable[[], float]) -> None:
        self._gate = gate
        self._monotonic = monotonic
        self._holds = False
        self._until = self._holds_until = 0.0

    async def begin(self) -> None:
        """Wait for the turn of this computation."""
        await self._gate.acquire()
        self._holds = True
        began = self._monotonic()
        self._until, self._holds_until = began + TURN_SECONDS, began + HOLD_SECONDS

    async def pause(self) -> None:
        """Between two steps: let I/O run if the turn is over, and other computations if the hold is."""
        now = self._monotonic()
        if now < self._until:
            return
        if now >= self._holds_until:
            self.end()
            await self.begin()
            return
        await self._gate.yield_to_io()
        self._until = self._monotonic() + TURN_SECONDS

    def end(self) -> None:
        """Let other computations run; a second call does nothing."""
        if self._holds:
            self._holds = False
            self._gate.release()
