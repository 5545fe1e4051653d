"""A partition's tables in memory, for folding without disk and brokers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from tally.tables.store.interface import Writes


class MemoryTables:
    """Tables of one partition in memory, with the read methods of LocalStore."""

    def __init__(self) -> None:
        self.tables: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, None for a missing one."""
        entries = self.tables[table]
        return [entries.get(key) for key in keys]

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the keys that begin with the prefix, in order, from `begin` on and at most `most`."""
        return [key for key, _ in islice(self.items(table, prefix, begin), most)]

    def items(self, table: str, prefix: bytes = b"", begin: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Iterate over a table's entries with the prefix, in the order of keys, from `begin` on."""
        entries = self.tables[table]
        keys = sorted(key for key in entries if key.startswith(prefix) and key >= begin)
        return iter([(key, entries[key]) for key in keys])

    def apply(self, writes: Writes) -> None:
        """Apply changes of several tables; None deletes."""
        for table, entries in writes.items():
            for key, value in entries.items():
                if value is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = value
