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

REFERENCE_SECONDS = 0.0055
"""What `_calibration` takes on the machine of docs/benchmarks.md while nothing else runs."""

Work = Callable[[], object]


def slowness() -> float:
    """Return how many times as slow as on the quiet machine of reference Python runs right now; at least 1.

    A core that is shared with other work does less in a second of CPU, and so does another machine. A bound
    in seconds is one of that machine.
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

    It is given in seconds of the machine of reference. Only where it is more than `most_seconds` there is
    another try.
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
