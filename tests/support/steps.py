"""Measures the CPU of an event loop's steps; all other work must wait for the largest one."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from msgspec import Struct

from tests.support.cpu import slowness

STEP_SECONDS = 0.05
"""CPU that one turn of the event loop may take."""


class Steps(Struct):
    """CPU seconds of this thread in the measured steps."""

    largest_seconds: float = 0.0
    seconds: float = 0.0


@contextmanager
def watched_steps() -> Iterator[Steps]:
    """Measure every callback and task step that the event loop runs within the context."""
    found, run, is_watching = Steps(), asyncio.Handle._run, True

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        seconds = time.thread_time() - began
        if not is_watching:
            return  # the step in which the test continues and frees its data
        found.largest_seconds = max(found.largest_seconds, seconds)
        found.seconds += seconds

    # As in a worker, which collects rarely and excludes the objects of its start.
    gc.collect()
    gc.disable()
    try:
        with patch.object(asyncio.Handle, "_run", measured):
            yield found
    finally:
        is_watching = False
        gc.enable()


def least(times: int, measure: Callable[[], Steps]) -> Steps:
    """Return the smallest of several measurements, since other work on the machine only adds.

    The unit is seconds of the reference machine (`tests/support/cpu.py`).
    """
    found = [measure() for _ in range(times)]
    slow = slowness()
    return Steps(min(one.largest_seconds for one in found) / slow, min(one.seconds for one in found) / slow)
