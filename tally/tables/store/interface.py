"""The store as pure code sees it: reads of tables, and the writes that it returns."""

from collections.abc import Sequence
from typing import Protocol

Writes = dict[str, dict[bytes, bytes | None]]
"""The new value of each key, by table; None deletes."""


class StateReader(Protocol):
    """A reader of the committed values of one partition's tables."""

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, None for a missing one."""

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the keys that begin with the prefix, in order, from `begin` on and at most `most`."""
