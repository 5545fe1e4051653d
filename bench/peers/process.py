"""What each peer's process is told, and the one thing that it says."""

import os
import time
from typing import NamedTuple

import orjson


class Settings(NamedTuple):
    """One run of a peer, from its environment."""

    bootstrap: str
    prefix: str
    name: str
    state: str
    partitions: int


def settings() -> Settings:
    """Read `BENCH_BOOTSTRAP`, `BENCH_PREFIX`, `BENCH_NAME`, `BENCH_STATE` and `BENCH_PARTITIONS`."""
    bootstrap, prefix, name, state, partitions = (
        os.environ[f"BENCH_{what.upper()}"] for what in Settings._fields
    )
    return Settings(bootstrap, prefix, name, state, int(partitions))


class FirstRecord:
    """Prints when the first raw record was taken, once."""

    taken = False

    def note(self) -> None:
        """Note a raw record."""
        if not self.taken:
            self.taken = True
            print(orjson.dumps({"first_s": time.time()}).decode(), flush=True)  # noqa: T201
