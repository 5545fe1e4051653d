"""The threads of a worker share two heaps; tested on glibc, the C library of the CI machines."""

import subprocess
import sys
from pathlib import Path

import pytest

from tally.streams.runtime.memory import ARENAS, share_heaps

THREADS = 8
PROBE = f"""
import ctypes, sys
from threading import Barrier, Thread
from tally.streams.runtime.memory import share_heaps

if sys.argv[1] == "told":
    assert share_heaps({{}})
together = Barrier({THREADS})

def work():
    kept = bytearray(10_000)
    together.wait(10)
    del kept

threads = [Thread(target=work) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
found = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, found)
libc.fclose(found)
"""


def heaps(folder: Path, told: str) -> int:
    """Return how many heaps a process has in which several threads have allocated."""
    found = folder / "heaps.xml"
    command = [sys.executable, "-c", PROBE, told, str(found)]
    subprocess.run(command, check=True, timeout=30, env={})  # noqa: S603 - our own probe
    return found.read_text().count("<heap ")


def test_threads_share_heaps_once_the_allocator_is_told(tmp_path: Path) -> None:
    assert heaps(tmp_path, "told") <= ARENAS


def test_without_being_told_there_are_more(tmp_path: Path) -> None:
    """Else there would be no reason for it: this says when that is so."""
    assert heaps(tmp_path, "not told") > ARENAS


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_operator_has_said_about_memory_stands(name: str) -> None:
    assert not share_heaps({name: "1"})
