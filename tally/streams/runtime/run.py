"""Runs several Faust apps and services in one process, and ends the process when any of them fails.

Faust's own worker is not used: its defaults overwrite settings, its logging replaces ours, and its shutdown
can hang for minutes. Here a thread enforces a deadline for every end, even if the event loop is stuck.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, NoReturn

import faust
from msgspec import Struct, field

from tally.agents.clock import wait_for
from tally.streams.runtime.descriptors import raise_descriptors
from tally.streams.runtime.exit import EXIT_CODE, abort

log = logging.getLogger(__name__)

STOP_SECONDS = 20.0
FATAL_SECONDS = 8.0
WATCH_SECONDS = 0.2
CANCEL_AGAIN_SECONDS = 5.0
"""Long enough for a consumer to leave its group."""
COLLECT_AFTER = (50_000, 20, 100)
"""Allocations between garbage collections, by generation (`gc.set_threshold`).

Events, facts and states hold no cycles, so reference counts free them. With Python's default of 700 a loaded
worker spent a third of its time scanning them.
"""

Service = Callable[[], Coroutine[Any, Any, None]]


class Parts(Struct, frozen=True):
    """The apps and services of a process.

    Services start before the apps and are cancelled after the apps have stopped. `closing` is closed last.
    """

    apps: Sequence[faust.App]
    """Started together, stopped one by one from the last to the first."""
    services: Mapping[str, Service] = {}
    """Services by name; each runs until it is cancelled."""
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    stopping: Callable[[], None] = lambda: None
    """Called when the stop begins, before anything is stopped."""


def exit_within(seconds: float, code: int) -> None:
    """End the process after `seconds`, even if it is stuck then."""

    def end() -> None:
        time.sleep(seconds)
        os._exit(code)

    threading.Thread(target=end, name="deadline", daemon=True).start()


def fail(reason: str, error: BaseException | None = None, **more: object) -> NoReturn:
    """End the process as failed, within a deadline even if the log cannot be written."""
    exit_within(FATAL_SECONDS, EXIT_CODE)
    abort(reason, error, **more)


def run_worker(build: Callable[[], Awaitable[Parts]], *, stop_seconds: float = STOP_SECONDS) -> NoReturn:
    """Build and run the parts until SIGTERM or SIGINT, then stop in order and exit with 0.

    Exits with another code within 10 s when an app crashes, a service ends or anything raises, and when
    the stop takes longer than its deadline.
    """
    raise_descriptors()
    try:
        asyncio.run(_serve(build, stop_seconds))
    except BaseException as error:
        fail("the process failed", error)
    fail("the process ended", None)


async def _serve(build: Callable[[], Awaitable[Parts]], stop_seconds: float) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(stopping, stop_seconds)
    running: list[asyncio.Task[None]] = []
    parts = await _built(build, stopping)
    _collect_rarely()
    for name, service in parts.services.items():
        running.append(_keep(name, service(), stopping))
    starting = asyncio.ensure_future(_start(parts.apps))
    while not stopping.is_set():
        _check(parts.apps, starting)
        await wait_for(stopping, WATCH_SECONDS)
    log.info("process stops")
    parts.stopping()
    starting.cancel()
    await _stop(parts.apps, running)
    await parts.closing.aclose()
    log.info("process stopped")
    _exit_cleanly()


async def _built(build: Callable[[], Awaitable[Parts]], stopping: asyncio.Event) -> Parts:
    """Return the parts; exit at once if a stop is requested meanwhile, since nothing runs yet."""
    building, stopped = asyncio.ensure_future(build()), asyncio.ensure_future(stopping.wait())
    await asyncio.wait({building, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not building.done():
        log.info("process stops before it has started")
        _exit_cleanly()
    stopped.cancel()
    return building.result()


def _collect_rarely() -> None:
    """Exclude all existing objects from garbage collection, and collect rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _stop_on_signals(stopping: asyncio.Event, stop_seconds: float) -> None:
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        # The loop's own signal handler would never run if the loop is stuck.
        exit_within(stop_seconds, EXIT_CODE)
        loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _keep(name: str, service: Coroutine[Any, Any, None], stopping: asyncio.Event) -> asyncio.Task[None]:
    task = asyncio.create_task(service, name=name)

    def ended(done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None or not stopping.is_set():
            fail(f"{name} ended", error)

    task.add_done_callback(ended)
    return task


async def _start(apps: Sequence[faust.App]) -> None:
    await asyncio.gather(*(app.start() for app in apps))
    log.info("process started: %s", ", ".join(app.conf.id for app in apps) or "services alone")


def _check(apps: Sequence[faust.App], starting: "asyncio.Future[None]") -> None:
    # Polled: an event set by another thread wakes no task of this loop.
    for app in apps:
        if app.should_stop:
            fail(f"{app.conf.id} crashed", app.crash_reason)
    if starting.done() and starting.exception() is not None:
        fail("an app could not start", starting.exception())


async def _stop(apps: Sequence[faust.App], services: Sequence["asyncio.Task[None]"]) -> None:
    for app in reversed(apps):
        await app.stop()
        if app.crash_reason is not None:
            fail(f"{app.conf.id} crashed while stopping", app.crash_reason)
    for task in reversed(services):
        await end(task)


async def end(task: "asyncio.Task[None]", again_seconds: float = CANCEL_AGAIN_SECONDS) -> None:
    """Cancel a task until it has ended.

    A library that closes a client may take the cancellation for one of its own, and the task goes on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=again_seconds)


def _exit_cleanly() -> NoReturn:
    """Exit with 0 without waiting for the threads of libraries."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
