"""Counting a partition again: from the states it has, or from facts. It reads a store, and writes nothing."""

from collections.abc import Iterable, Iterator, Sequence

from tally.agents.audit.drift import Counted
from tally.agents.fold.batch import find_culprit, fold_batch
from tally.agents.fold.failure import FamilyFailure
from tally.agents.fold.rows import recount
from tally.schemas.missing import NO_ROW
from tally.schemas.rows import Row, decode_row
from tally.schemas.tables import ACTIVITY, CELLS
from tally.schemas.topics import COUNTERS
from tally.tables.families.registry import FAMILIES, AnyFamily
from tally.tables.kafka.delivered import FactRecord
from tally.tables.rules import Rules
from tally.tables.store.interface import Writes
from tally.tables.store.local import LocalStore

State = tuple[AnyFamily, bytes, bytes]


def whole_rows(local: LocalStore) -> Iterator[tuple[bytes, Row]]:
    """Yield the rows that a copy of a partition holds, by their keys."""
    return ((key, decode_row(value)) for key, value in local.items(COUNTERS) if not key.startswith(NO_ROW))


def rows_of(local: LocalStore) -> dict[bytes, tuple[int, dict[str, int]]]:
    """Return the rows that a copy of a partition holds: next offset and counts."""
    return {key: (row.next_offset, row.counts) for key, row in whole_rows(local)}


def held_in(local: LocalStore) -> Counted:
    """Return the rows and cells that a copy of a partition holds."""
    rows = {key: row.counts for key, row in whole_rows(local)}
    return Counted(rows, {table: dict(local.items(table)) for table in (CELLS, ACTIVITY)})


def counted_from_states(states: Iterable[State], rules: Rules) -> Counted:
    """Return the rows and cells that states come to."""
    found = recount(states, rules, next_offset=0)
    return Counted({key: row.counts for key, row in found.rows.items()}, found.cells)


def states_of(local: LocalStore) -> Iterator[State]:
    """Yield the states that a copy of a partition holds: family, key and encoded state."""
    return ((family, key, value) for family in FAMILIES for key, value in local.items(family.table))


def folded(facts: Sequence[FactRecord], local: LocalStore, rules: Rules) -> Iterator[Writes]:
    """Yield what facts change, to be written before the next is asked for.

    A fact that fails is left out, as the fold quarantines it.
    """
    rest = facts
    while rest:
        try:
            yield fold_batch(rest, local, rules).writes
            return
        except FamilyFailure:
            good = find_culprit(rest, local, rules)
        yield fold_batch(rest[:good], local, rules).writes
        rest = rest[good + 1 :]
