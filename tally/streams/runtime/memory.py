"""What glibc is told about the memory of a worker."""

import ctypes
from collections.abc import Mapping

M_ARENA_MAX = -8
"""A parameter of `mallopt(3)`, from glibc's malloc.h."""

ARENAS = 2
OPERATORS_OWN = ("MALLOC_", "GLIBC_TUNABLES")


def share_heaps(environment: Mapping[str, str]) -> bool:
    """Let the threads of this process share two heaps.

    By default glibc gives each thread its own, up to eight for each core, and what one thread has freed is
    of no use to another: a worker's clients, its tables' background work and its event loop each kept what
    they once needed, a tenth of its memory. Where somebody has said in the environment how memory is to
    be allocated, or the C library is another one, nothing is changed. Returns whether it was.

    Rejected: a fixed `M_MMAP_THRESHOLD`, which saves as much again and costs a tenth of the CPU, since every
    buffer's pages are then given out anew.
    """
    if any(name.startswith(OPERATORS_OWN) for name in environment):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, ARENAS))
