"""Measures processes from outside, in the same way for all contenders."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 15.0


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used: all threads, user and system (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def fine_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of the living threads with nanosecond resolution; a tick would be 10 ms."""
    spent_ns = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        spent_ns += int((thread / "schedstat").read_text().split()[0])
    return spent_ns / 1e9


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes (proc(5))."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def contender(
    module: str, environment: Mapping[str, str], log: Path, python: Path = Path(sys.executable)
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a module as a process with a pipe for standard output; end it on exit of the context."""
    with (
        log.open("ab") as errors,
        subprocess.Popen(  # noqa: S603 - our own command
            [str(python), "-m", module],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
