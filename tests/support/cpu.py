"""CPU that a piece of work takes, for laws of cost: the least of several rounds, without the collector."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ROUNDS = 5
ROUND_SECONDS = 0.002
"""What a round of the smaller work takes at least: much longer than the clock's own reading."""
TRIES = 4
"""Who shares the core empties its caches now and then; what grows too fast does so at every try."""

Work = Callable[[], object]


def doubling(small: Work, large: Work, most: float) -> float:
    """Return how many times as much CPU the large work takes as the small one, by the least of five rounds.

    Where that is more than `most`, it is measured again.
    """
    times = 0.0
    with _without_collector():
        repeats = _repeats(small)
        for _ in range(TRIES):
            rounds = [(_cpu_seconds(small, repeats), _cpu_seconds(large, repeats)) for _ in range(ROUNDS)]
            times = min(each[1] for each in rounds) / min(each[0] for each in rounds)
            if times <= most:
                break
    return times


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the collector off: it would bill whoever allocates for what others have left behind."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _repeats(work: Work) -> int:
    repeats = 1
    while _cpu_seconds(work, repeats) < ROUND_SECONDS:
        repeats *= 2
    return repeats


def _cpu_seconds(work: Work, repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        work()
    return time.process_time() - began


def largest_step(begun: Callable[[], Iterator[None]], most_seconds: float) -> float:
    """Return the CPU of the longest step of a computation in steps, the least of several tries.

    Only where it is more than `most_seconds` there is another try.
    """
    longest = 0.0
    with _without_collector():
        for _ in range(TRIES):
            longest = _longest_step(begun())
            if longest <= most_seconds:
                break
    return longest


def _longest_step(steps: Iterator[None]) -> float:
    longest, began = 0.0, time.process_time()
    for _ in steps:
        now = time.process_time()
        longest, began = max(longest, now - began), now
    return max(longest, time.process_time() - began)
