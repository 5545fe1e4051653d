"""How many states a partition has, counted as they come and go: a recount can tell if some are missing."""

from collections.abc import Mapping, Sequence

from tally.tables.store.interface import StateReader, Writes


class KnownStates:
    """Which keys of a batch are states already, as the fold's own reading has shown."""

    def __init__(self, tables: frozenset[str]) -> None:
        self._tables = tables
        self._exists: dict[str, dict[bytes, bool]] = {}

    def read(self, table: str, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Note which of these keys have a value."""
        if table in self._tables:
            exists = self._exists.setdefault(table, {})
            exists.update(zip(keys, [value is not None for value in values], strict=True))

    def after(self, counts: Mapping[str, int], writes: Writes, reader: StateReader) -> dict[str, int]:
        """Return how many states each table has once these writes are applied.

        Nearly every key that is written was read before; whichever was not is looked up now.
        """
        after = dict(counts)
        for table in self._tables & writes.keys():
            entries, exists = writes[table], self._exists.setdefault(table, {})
            unread = [key for key in entries if key not in exists]
            self.read(table, unread, reader.get_many(table, unread))
            more = sum((value is not None) - exists[key] for key, value in entries.items())
            if more:
                after[table] = after.get(table, 0) + more
        return after

    def forget(self) -> None:
        """Forget what was read: a batch is over."""
        self._exists.clear()
