"""Seeds of tests with drawn events: fixed ones and a new one for each run, or a requested range.

`TEST_SEEDS=FROM:TO` requests a range that excludes TO. `TEST_SEED` sets the new seed. The first process of a
run draws it, so all processes of the run collect the same tests.
"""

import os
import random
from collections.abc import Mapping, MutableMapping, Sequence

DRAWN = "TEST_SEED"
RANGE = "TEST_SEEDS"
BELOW = 1_000_000


def draw(environment: MutableMapping[str, str], rng: random.Random) -> None:
    """Draw the new seed of this run unless it is set."""
    environment.setdefault(DRAWN, str(rng.randrange(BELOW)))


def seeds(fixed: Sequence[int] = (1, 2, 3), environment: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """Return the requested range, else the fixed seeds and the new one."""
    asked = environment.get(RANGE)
    if asked is None:
        return (*fixed, int(environment[DRAWN]))
    first, last = map(int, asked.split(":"))
    return tuple(range(first, last))
