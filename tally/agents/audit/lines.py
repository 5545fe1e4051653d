"""The law of lines over a partition's tables: a row is the sum of the lines of all states. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tally.agents.audit.drift import Drift, drift
from tally.schemas.grains import RowKey
from tally.tables.families.family import Family
from tally.tables.rules import Rules

Counts = Mapping[str, int]
State = tuple[Family[Any, Any], bytes, bytes]
"""A family, the key of a state, and the state as it is stored."""


def broken_lines(
    states: Iterable[State], rules: Rules, partition: int, rows: Mapping[bytes, Counts]
) -> Iterator[Drift]:
    """Yield every counter of a row that the lines of the states do not sum up to."""
    yield from drift("lines", partition, rows, _sums(states, rules))


def _sums(states: Iterable[State], rules: Rules) -> dict[bytes, Counts]:
    sums: defaultdict[RowKey, Counter[str]] = defaultdict(Counter)
    for family, key, value in states:
        for line in family.lines(key, family.decode(value), rules):
            sums[line.part.row].update(line.part.counts)
    return {row.encode(): counts for row, counts in sums.items()}
