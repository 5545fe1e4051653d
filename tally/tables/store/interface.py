"""What pure code may ask of a store, and what it hands back to be written."""

from collections.abc import Sequence
from typing import Protocol

Writes = dict[str, dict[bytes, bytes | None]]
"""By table: what to put under each key; None deletes."""


class StateReader(Protocol):
    """Reads committed values of one partition's tables."""

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, None where there is none."""

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the keys that begin with the prefix, in order; from `begin` on, and so many at most."""
