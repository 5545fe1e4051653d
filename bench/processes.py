"""Measures processes from outside, in the same way for all contenders."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 15.0
CHILD = "tally.streams.worker"
"""The module of a worker's child; its roles follow."""


def tree_of(pid: int) -> list[int]:
    """Return a process and all its living descendants (proc(5))."""
    children: dict[int, list[int]] = {}
    for there in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(_parent_of(int(there.name)), []).append(int(there.name))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent_of(pid: int) -> int:
    return int(_fields(pid)[1])


def is_alive(pid: int) -> bool:
    """Return whether a process still runs; one that only waits to be waited for does not."""
    try:
        return _fields(pid)[0] != "Z"
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used: all threads, user and system (proc(5))."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def thread_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process of one thread, such as a backend of Postgres, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes (proc(5))."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def name_in(command: list[str], otherwise: str) -> str:
    """Return the roles that the command of a worker's child names, or another name. Pure."""
    return command[command.index(CHILD) + 1] if CHILD in command else otherwise


def command_of(pid: int) -> list[str]:
    """Return the command of a process, word by word."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


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
