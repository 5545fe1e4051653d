"""Alternates several ways to ask in short turns, so a drift of the machine affects all equally."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct, field

from bench.figures import percentile
from bench.processes import fine_cpu_seconds

Ask = Callable[[], Awaitable[bool]]
"""Asks once; returns whether the answer differs from the last one."""


class Pace(Struct, frozen=True):
    """Number and length of turns, and the rate of requests."""

    rounds: int = 20
    turn_seconds: float = 1.0
    asked_per_second: float = 50.0

    @property
    def round_seconds(self) -> float:
        """The duration of a round: one turn of each of three ways, and one idle turn."""
        return self.turn_seconds * 4


class Latency(Struct, frozen=True):
    """The latency of answers as a client sees it."""

    answers: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


class Figures(Struct, frozen=True):
    """The latency of one way to ask, and the server's CPU per answer."""

    all: Latency
    changed: Latency | None
    """Latency of the answers that differed from the one before; None where none did."""
    cpu_us: float | None
    """CPU microseconds of the server's process, beyond its idle usage; None where it was not measured."""

    @property
    def changed_share(self) -> float:
        """The share of the answers that differed from the one before."""
        return 0.0 if self.changed is None else self.changed.answers / self.all.answers


class _Turns(Struct):
    """The sums of all turns of one way to ask."""

    took_s: list[float] = field(default_factory=list)
    changed_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    cpu_s: float = 0.0


async def take_turns(asks: Mapping[str, Ask], pace: Pace, pid: int | None = None) -> dict[str, Figures]:
    """Ask in turns, with an idle turn if `pid` is given; return the figures of each way."""
    turns = {name: _Turns() for name in asks}
    idle = _Turns()
    for _ in range(pace.rounds):
        for name, ask in asks.items():
            await _measured(turns[name], _turn(turns[name], ask, pace), pid)
        if pid is not None:
            await _measured(idle, asyncio.sleep(pace.turn_seconds), pid)
    return {name: _figures(one, idle if pid is not None else None) for name, one in turns.items()}


async def _measured(turns: _Turns, turn: Awaitable[None], pid: int | None) -> None:
    began_s, used_s = time.perf_counter(), 0.0 if pid is None else fine_cpu_seconds(pid)
    await turn
    turns.wall_s += time.perf_counter() - began_s
    turns.cpu_s += 0.0 if pid is None else fine_cpu_seconds(pid) - used_s


async def _turn(turns: _Turns, ask: Ask, pace: Pace) -> None:
    """Ask at a steady pace; a latency begins with its request, so a slow one does not add to the next."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for nth in range(max(1, round(pace.turn_seconds * pace.asked_per_second))):
        await asyncio.sleep(max(0.0, began + nth / pace.asked_per_second - loop.time()))
        if nth and loop.time() > began + pace.turn_seconds:
            return
        asked_at = time.perf_counter()
        changed = await ask()
        took_s = time.perf_counter() - asked_at
        turns.took_s.append(took_s)
        if changed:
            turns.changed_s.append(took_s)


def _figures(turns: _Turns, idle: _Turns | None) -> Figures:
    cpu_us = None
    if idle is not None:
        own_s = turns.cpu_s - turns.wall_s * idle.cpu_s / idle.wall_s
        cpu_us = 1e6 * own_s / len(turns.took_s)
    changed = _latency(turns.changed_s) if turns.changed_s else None
    return Figures(_latency(turns.took_s), changed, cpu_us)


def _latency(took_s: Sequence[float]) -> Latency:
    p50, p99, worst = (1000 * percentile(took_s, share) for share in (0.5, 0.99, 1.0))
    return Latency(len(took_s), p50, p99, worst)
