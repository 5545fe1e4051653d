"""The number of states of a partition, updated with each batch, so a recount notices missing states."""

from collections.abc import Mapping, Sequence

from tally.tables.store.interface import StateReader, Writes


class KnownStates:
    """The keys of a batch that already have a state, learnt from the reads of the fold."""

    def __init__(self, tables: frozenset[str]) -> None:
        self._tables = tables
        self._exists: dict[str, dict[bytes, bool]] = {}

    def read(self, table: str, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Note which of these keys have a value."""
        if table in self._tables:
            exists = self._exists.setdefault(table, {})
            exists.update(zip(keys, [value is not None for value in values], strict=True))

    def after(self, counts: Mapping[str, int], writes: Writes, reader: StateReader) -> dict[str, int]:
        """Return how many states each table will have once these writes are applied.

        Nearly every written key was read before; the others are looked up now.
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
        """Forget the reads of a batch that is over."""
        self._exists.clear()
