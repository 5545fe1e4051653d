"""The ledger as the sink keeps it, in memory: a subject's lines are replaced when its state is written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tally.agents.fold.batch import fold_batch
from tally.schemas.grains import RowKey
from tally.schemas.records import Keyed
from tally.tables.families.registry import FAMILIES
from tally.tables.line import Line
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition, record

Subject = tuple[str, bytes]
"""The table of a family, and the key of a state."""


class MemoryLedger:
    """A partition that facts are folded into, and the lines of the states that this wrote."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.partition = MemoryPartition()
        self.lines: dict[Subject, list[Line]] = {}

    def fold(self, facts: Sequence[Keyed]) -> None:
        partition = self.partition
        records = [record(partition.next_offset + nth, keyed) for nth, keyed in enumerate(facts)]
        writes = fold_batch(records, partition, self.rules).writes
        partition.apply(writes)
        partition.next_offset += len(facts)
        for family in FAMILIES:
            for key, value in writes.get(family.table, {}).items():
                lines = [] if value is None else family.lines(key, family.decode(value), self.rules)
                self.lines.pop((family.table, key), None)
                if lines:
                    self.lines[family.table, key] = lines

    @property
    def all(self) -> list[Line]:
        """Every line."""
        return [line for lines in self.lines.values() for line in lines]

    def of(self, campaign: str, counter: str) -> list[Line]:
        """Return the lines that add to a counter, or an entry of one, of a campaign."""
        return [
            line for line in self.all if line.part.row.campaign == campaign and counter in line.part.counts
        ]


def lines_of(partition: MemoryPartition, rules: Rules) -> dict[Subject, list[Line]]:
    """Return the lines of all states of a partition."""
    found = {
        (family.table, key): family.lines(key, family.decode(value), rules)
        for family, key, value in partition.states()
    }
    return {subject: lines for subject, lines in found.items() if lines}


def sums_of(lines: Iterable[Line]) -> dict[bytes, dict[str, int]]:
    """Return what lines come to by row, as the rows of a partition count it."""
    sums: defaultdict[RowKey, Counter[str]] = defaultdict(Counter)
    for line in lines:
        sums[line.part.row].update(line.part.counts)
    return {row.encode(): dict(counts) for row, counts in sums.items()}
