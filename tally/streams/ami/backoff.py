"""How long to wait before the next try. Pure."""

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
REFUSED_SECONDS = 60.0
"""After a refused login: a wrong password stays wrong, and some PBXs ban who tries often."""


def pause_seconds(failures: int, jitter: float, longest_seconds: float = LONGEST_SECONDS) -> float:
    """Return how long to wait after so many failures in a row (from 1); `jitter` is from 0 to 1.

    The longest wait doubles, and all of it is jitter: PBXs that restart together are not met together.
    """
    return jitter * min(longest_seconds, FIRST_SECONDS * 2.0 ** min(failures - 1, 10))


def refused_seconds(jitter: float) -> float:
    """Return how long to wait after a refused login."""
    return REFUSED_SECONDS * (0.5 + jitter / 2)
