"""Measures CPU for laws of cost: the least of several rounds, without the garbage collector."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ROUNDS = 5
ROUND_SECONDS = 0.002
"""Least duration of a round of the smaller work; much longer than reading the clock."""
TRIES = 4
"""Number of tries: other processes on the core evict its caches at times, but cost that grows too fast shows
at every try."""

REFERENCE_SECONDS = 0.0055
"""Duration of `_calibration` on the machine of docs/benchmarks.md while nothing else runs."""

Work = Callable[[], object]


def slowness() -> float:
    """Return how many times slower Python runs now than on the idle reference machine; at least 1.

    A core shared with other work, or a slower machine, does less in a second of CPU. Bounds in seconds refer
    to the reference machine.
    """
    return max(1.0, min(_calibration() for _ in range(3)) / REFERENCE_SECONDS)


def _calibration() -> float:
    began = time.process_time()
    known: dict[bytes, tuple[int, str]] = {}
    for number in range(10_000):
        key = b"%d" % (number % 2_000)
        known[key] = (number, str(number))
        sorted((number % 7, number % 3, number % 11))
    return time.process_time() - began


def doubling(small: Work, large: Work, most: float) -> float:
    """Return the ratio of CPU between the large and the small work, each the least of five rounds.

    A ratio above `most` is measured again.
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
    """Disable the collector: it would charge the measured work for garbage of other code."""
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

    The unit is seconds of the reference machine. A result above `most_seconds` is measured again.
    """
    longest = 0.0
    with _without_collector():
        for _ in range(TRIES):
            longest = _longest_step(begun())
            if longest > most_seconds:
                longest /= slowness()
            if longest <= most_seconds:
                break
    return longest


def _longest_step(steps: Iterator[None]) -> float:
    longest, began = 0.0, time.process_time()
    for _ in steps:
        now = time.process_time()
        longest, began = max(longest, now - began), now
    return max(longest, time.process_time() - began)
