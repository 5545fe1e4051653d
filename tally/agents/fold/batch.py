"""The fold's decision: what a batch of facts changes in the tables of its partition. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from tally.agents.fold.connected import fold_connected
from tally.agents.fold.failure import FamilyFailure, StateTooLarge, family_code
from tally.agents.fold.rows import moved_rows
from tally.schemas.errors import UnknownFact
from tally.schemas.keyed import HEAD_BYTES, KIND_BYTES, oldest_raw_at_ms
from tally.schemas.topics import COUNTERS
from tally.tables.contribution import Changes, Part
from tally.tables.families.family import Family
from tally.tables.families.registry import BY_KIND
from tally.tables.reading import Reader, Writes
from tally.tables.rules import Rules

STATE_LIMIT_BYTES = 1_000_000
"""Under the changelog's record limit, with room for keys and headers."""


class FactRecord(Protocol):
    """A record of the facts log."""

    @property
    def offset(self) -> int: ...  # noqa: D102 - Kafka's own words
    @property
    def key(self) -> bytes: ...  # noqa: D102
    @property
    def value(self) -> bytes: ...  # noqa: D102


class Folded(Struct):
    """What a batch changes."""

    writes: Writes
    facts: dict[str, int]
    """Facts by table."""
    oldest_raw_at_ms: int
    waiting: int
    """How many more subjects wait for their send result."""


def fold_batch(records: Sequence[FactRecord], reader: Reader, rules: Rules) -> Folded:
    """Merge a batch of facts of one partition into what its tables hold.

    Raises FamilyFailure where family code raises on one of them, UnknownFact for a fact of a family or
    version that is not known. No facts change nothing.
    """
    changes = Changes()
    writes: Writes = {}
    counted = {}
    waiting = 0
    for family, of_family in _by_family(records).items():
        counted[family.table] = len(of_family)
        decode = family.decode_fact
        with family_code():
            facts = [(record.key, decode(record.value[HEAD_BYTES:])) for record in of_family]
        if family.connects:
            fold_connected(family, facts, reader, rules, changes, writes)
        else:
            waiting += _fold_plain(family, facts, reader, rules, changes, writes)
    for table, entries_of in writes.items():
        _check_sizes(table, entries_of)
    if not records:
        return Folded({}, {}, 0, 0)
    rows = moved_rows(changes, reader, next_offset=records[-1].offset + 1)
    if rows:
        # Names of queues come from PBXs and have no list: what a row cannot hold is given up on, not the row.
        _check_sizes(COUNTERS, rows)
        writes[COUNTERS] = rows
    return Folded(writes, counted, oldest_raw_at_ms(record.value for record in records), waiting)


def find_culprit(records: Sequence[FactRecord], reader: Reader, rules: Rules) -> int:
    """Return how many facts of a failing batch fold without failure; the next one is the culprit."""
    good, bad = 0, len(records)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            fold_batch(records[:middle], reader, rules)
            good = middle
        except FamilyFailure:
            bad = middle
    return good


def _by_family(records: Sequence[FactRecord]) -> dict[Family[Any, Any], list[FactRecord]]:
    grouped: dict[bytes, list[FactRecord]] = defaultdict(list)
    for record in records:
        grouped[record.value[:KIND_BYTES]].append(record)
    for kind, of_kind in grouped.items():
        if kind not in BY_KIND:
            raise UnknownFact(f"fact at offset {of_kind[0].offset}: family and version {kind!r}")
    return {BY_KIND[kind]: of_kind for kind, of_kind in grouped.items()}


def _fold_plain(
    family: Family[Any, Any],
    facts: list[tuple[bytes, Any]],
    reader: Reader,
    rules: Rules,
    changes: Changes,
    writes: Writes,
) -> int:
    """Fold facts whose subject is their key; return how many more subjects wait."""
    waiting = 0
    by_key: dict[bytes, list[Any]] = defaultdict(list)
    for key, fact in facts:
        by_key[key].append(fact)
    olds = reader.get_many(family.table, list(by_key))
    table = writes.setdefault(family.table, {})
    with family_code():
        for (key, merged), old in zip(by_key.items(), olds, strict=True):
            before = None if old is None else family.decode(old)
            after = family.merge(before, merged)
            encoded = family.encode(after)
            if encoded == old:
                continue
            table[key] = encoded
            waiting += family.waits(after)
            was: Sequence[Part] = ()
            if before is not None:
                waiting -= family.waits(before)
                was = family.contribution(key, before, rules)
            changes.move(was, family.contribution(key, after, rules))
    return waiting


def _check_sizes(table: str, entries: dict[bytes, bytes | None]) -> None:
    with family_code():
        for value in entries.values():
            if value is not None and len(value) > STATE_LIMIT_BYTES:
                raise StateTooLarge(table)
