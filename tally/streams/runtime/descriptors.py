"""How many files and connections this process may have open."""

import resource

WANTED = 65_536


def most_descriptors() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def raise_descriptors() -> int:
    """Raise the limit as far as this process may, at most to what is of use; return what it is then.

    The usual 1,024 are for programs that use `select`. A worker needs some 64 for the tables of each
    partition.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return most_descriptors()
