"""What states take on disk, by a look into the stores of a worker that has stopped."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from tally.tables.families.registry import FAMILIES, TABLES
from tally.tables.store.local import LocalStore

STATES = frozenset(family.table for family in FAMILIES)


class Disk(Struct, frozen=True):
    """The stores of all partitions together, once compacted."""

    records: Mapping[str, int]
    """Keys by table."""
    plain_bytes: int
    """Keys and values of all tables, as they would be without a store."""
    bytes_left: int
    """Files as the worker left them."""
    bytes_compacted: int

    @property
    def states(self) -> int:
        """Keys of the tables of families: aliases and rows are none, though their bytes count."""
        return sum(records for table, records in self.records.items() if table in STATES)

    @property
    def bytes_a_state(self) -> float:
        """Bytes on disk of everything, over the number of states."""
        return self.bytes_compacted / self.states


def compacted(state_folder: Path) -> Disk:
    """Count what the stores hold, compact them, and measure their files."""
    records, plain_bytes, left = dict.fromkeys(TABLES, 0), 0, _bytes_in(state_folder)
    for path in sorted(state_folder.glob("*/p*")):
        store = LocalStore(path)
        try:
            for table in TABLES:
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
