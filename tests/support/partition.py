"""A partition's tables in memory, for laws about the fold."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tally.agents.fold.batch import fold_batch
from tally.agents.fold.rows import recount
from tally.schemas.missing import NO_ROW
from tally.schemas.records import Keyed, Origin, Traced, record_value
from tally.schemas.rows import decode_row
from tally.schemas.topics import COUNTERS
from tally.tables.families.family import Family
from tally.tables.families.registry import FAMILIES
from tally.tables.rules import Rules
from tally.tables.store.memory import MemoryTables

NO_ORIGIN = Origin(0)


class Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes


def record(offset: int, keyed: Keyed, origin: Origin = NO_ORIGIN) -> Record:
    return Record(offset, keyed.key, record_value(keyed.family, origin, keyed.fact))


class MemoryPartition(MemoryTables):
    """Tables in memory that facts are folded into, with the resulting rows."""

    def __init__(self) -> None:
        super().__init__()
        self.next_offset = 0

    def fold(self, facts: Sequence[Keyed], rules: Rules) -> None:
        self.fold_traced([(keyed, NO_ORIGIN) for keyed in facts], rules)

    def fold_traced(self, facts: Sequence[Traced], rules: Rules) -> None:
        records = [record(self.next_offset + i, *traced) for i, traced in enumerate(facts)]
        self.apply(fold_batch(records, self, rules).writes)
        self.next_offset += len(facts)

    def states(self) -> Iterator[tuple[Family[Any, Any], bytes, bytes]]:
        for family in FAMILIES:
            for key, value in self.tables[family.table].items():
                yield family, key, value

    def rows(self) -> list[tuple[bytes, bytes]]:
        """Return the rows with their keys, without the other records of the table."""
        return [(key, row) for key, row in self.tables[COUNTERS].items() if not key.startswith(NO_ROW)]

    def counts(self) -> dict[bytes, dict[str, int]]:
        rows = {key: decode_row(value).counts for key, value in self.rows()}
        return {key: counts for key, counts in rows.items() if counts}

    def recounted(self, rules: Rules) -> dict[bytes, dict[str, int]]:
        """Return the counts recomputed from the states, to compare with `counts`."""
        rows = recount(self.states(), rules, self.next_offset).rows
        return {key: row.counts for key, row in rows.items() if row.counts}
