"""The limit of open files and connections of this process."""

import resource

WANTED = 65_536


def most_descriptors() -> int:
    """Return how many descriptors this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def raise_descriptors() -> int:
    """Raise the limit as far as allowed, at most to `WANTED`; return the new limit.

    The usual default of 1,024 exists for programs that use `select`. A worker needs some 64 descriptors for
    the tables of each partition.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return most_descriptors()
