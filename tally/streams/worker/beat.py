"""The beat of a worker's event loop: the watchdog ends a process whose loop stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tally.streams.runtime.run import fail
from tally.streams.runtime.watchdog import Stacks, Watchdog
from tally.streams.worker.observer import WorkerObserver


@asynccontextmanager
async def beating(watchdog: Watchdog, observer: WorkerObserver) -> AsyncIterator[None]:
    """Beat for a watchdog, which begins to watch; the process fails if the beat ends before the context."""
    watchdog.start()
    beat = asyncio.create_task(_beat(watchdog, observer), name="beat")
    beat.add_done_callback(_ended)
    yield
    beat.cancel()


def stuck(reason: str, stacks: Stacks) -> None:
    """End the process: its loop stands still."""
    fail(reason, stacks=stacks)


async def _beat(watchdog: Watchdog, observer: WorkerObserver) -> None:
    while True:
        watchdog.beat()
        observer.beat()
        await asyncio.sleep(watchdog.beat_seconds)


def _ended(beat: "asyncio.Task[None]") -> None:
    if not beat.cancelled():
        fail("beat ended", beat.exception())
