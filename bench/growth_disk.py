"""Disk usage of states, measured in the stores of a stopped worker."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from tally.schemas.tables import CODES
from tally.tables.families.registry import FAMILIES
from tally.tables.store.local import LocalStore

STATES = frozenset(family.table for family in FAMILIES)


class Disk(Struct, frozen=True):
    """Contents and sizes of the stores of all partitions together."""

    records: Mapping[str, int]
    """Keys by table."""
    plain_bytes: int
    """Bytes of all keys and values, without the overhead of the store."""
    bytes_left: int
    """Bytes of the files as the worker left them."""
    bytes_compacted: int

    @property
    def states(self) -> int:
        """Number of keys in the tables of families; aliases and rows do not count, though their bytes do."""
        return sum(records for table, records in self.records.items() if table in STATES)

    @property
    def bytes_a_state(self) -> float:
        """All compacted bytes divided by the number of states."""
        return self.bytes_compacted / self.states


def compacted(state_folder: Path) -> Disk:
    """Count the contents of the stores, compact them, and measure their files."""
    records, plain_bytes, left = dict.fromkeys(CODES, 0), 0, _bytes_in(state_folder)
    for path in sorted(state_folder.glob("*/p*")):
        store = LocalStore(path)
        try:
            for table in CODES:
                found, size = _size_of(store, table)
                records[table] += found
                plain_bytes += size
            store._db.compact_range(None, None)
        finally:
            store.close()
    return Disk(records, plain_bytes, left, _bytes_in(state_folder))


def _size_of(store: LocalStore, table: str) -> tuple[int, int]:
    count = size = 0
    for key, value in store.items(table):
        count += 1
        size += len(key) + len(value)
    return count, size


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
