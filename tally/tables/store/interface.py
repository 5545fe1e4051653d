"""The store as pure code sees it: reads of tables, and the writes that it returns."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tally.schemas.tables import CODES
from tally.schemas.topics import COUNTERS, STATES, Changelog

Entries = dict[bytes, bytes | None]
"""The new value of each key; None deletes."""
Writes = dict[str, Entries]
"""New values by table."""


class StateReader(Protocol):
    """A reader of the committed values of one partition's tables."""

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, None for a missing one."""

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the keys that begin with the prefix, in order, from `begin` on and at most `most`."""


def by_changelog(writes: Mapping[str, Mapping[bytes, bytes | None]]) -> dict[Changelog, Entries]:
    """Return writes as both changelogs have them: states under the byte of their table, and rows."""
    states: Entries = {}
    for table, entries in writes.items():
        if table != COUNTERS:
            code = CODES[table]
            states.update([(code + key, value) for key, value in entries.items()])
    return {STATES: states, COUNTERS: dict(writes.get(COUNTERS, {}))}
