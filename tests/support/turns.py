"""Measures the CPU of each turn of an event loop."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any


class Turned:
    """The longest measured turn."""

    def __init__(self) -> None:
        self.longest_seconds = 0.0
        self.of = ""


@contextmanager
def measured_turns() -> Iterator[Turned]:
    """Measure the CPU of this thread in each turn of its loop, without other threads' CPU."""
    found, run, thread = Turned(), asyncio.events.Handle._run, get_ident()

    def measured(handle: Any) -> None:
        if get_ident() != thread:
            run(handle)
            return
        began = time.thread_time()
        run(handle)
        seconds = time.thread_time() - began
        if seconds > found.longest_seconds:
            found.longest_seconds, found.of = seconds, repr(handle)

    setattr(asyncio.events.Handle, "_run", measured)  # noqa: B010 - mypy allows no assignment to it
    try:
        yield found
    finally:
        setattr(asyncio.events.Handle, "_run", run)  # noqa: B010
