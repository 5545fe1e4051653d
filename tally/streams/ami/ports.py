"""The ports of a collector (clocks, randomness, waiting) and its deadlines."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable

from msgspec import Struct

from tally.agents.clock import unix_ms


class CollectorPorts(Struct, frozen=True):
    """Clocks, randomness and waiting."""

    now_ms: Callable[[], int] = unix_ms
    """Unix milliseconds, with which events are stamped."""
    seconds: Callable[[], float] = time.monotonic
    """Monotonic seconds, by which waits are measured."""
    jitter: Callable[[], float] = random.random
    """Uniform from 0 to 1."""
    token: Callable[[], str] = lambda: secrets.token_hex(6)
    """A text unique to each session."""
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


class CollectorConfig(Struct, frozen=True):
    """Deadlines and intervals of a session."""

    connect_seconds: float = 10.0
    answer_seconds: float = 10.0
    ping_seconds: float = 10.0
    pong_seconds: float = 5.0
    close_seconds: float = 2.0
    stable_seconds: float = 30.0
    """Length of a session that resets the backoff."""
    room_seconds: float = 60.0
    """How often a wait for the buffer to drain is logged."""
