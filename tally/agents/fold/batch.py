"""The fold's decision: the changes that a batch of facts makes in the tables of its partition. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tally.agents.fold.components import Component
from tally.agents.fold.connected import fold_components, fold_connected
from tally.agents.fold.context import FoldContext
from tally.agents.fold.failure import FamilyFailure, StateTooLarge, family_code
from tally.agents.fold.missing import Missing
from tally.agents.fold.parted import fold_parted
from tally.agents.fold.plain import fold_plain, fold_subjects
from tally.agents.fold.resync import Resync, Resyncs, resync_of
from tally.agents.fold.rows import moved_cells, moved_rows
from tally.agents.fold.steps import FACTS_AT_ONCE, NO_LIMITS, TransactionLimits, chunks
from tally.schemas.errors import UnknownFact
from tally.schemas.notices import decode_notice
from tally.schemas.records import NOTICE_KIND, fact_bytes, kind_of, oldest_raw_at_ms
from tally.schemas.topics import COUNTERS
from tally.tables.families.family import ConnectedFamily, PartedFamily, PlainFamily
from tally.tables.families.registry import BY_KIND, AnyFamily
from tally.tables.kafka.delivered import FactRecord
from tally.tables.pieces import Steps, at_once
from tally.tables.rules import Rules
from tally.tables.store.interface import StateReader, Writes

STATE_LIMIT_BYTES = 1_000_000
"""Below the record limit of changelogs, with room for keys and headers."""


class Folded(Struct):
    """The changes of a batch."""

    writes: Writes
    facts: dict[str, int]
    """Facts by table."""
    oldest_raw_at_ms: int
    waiting: int = 0
    """Change in the number of subjects that wait for their send result."""
    contested: int = 0
    """Change in the number of subjects that several tenants claim."""
    refused: int = 0
    """Change in the number of identifiers that identify no customer."""


def fold_batch(records: Sequence[FactRecord], reader: StateReader, rules: Rules) -> Folded:
    """Run `fold_steps` to its end, without limits."""
    return at_once(fold_steps(records, reader, rules))


def fold_steps(
    records: Sequence[FactRecord],
    reader: StateReader,
    rules: Rules,
    limits: TransactionLimits = NO_LIMITS,
    is_resynced: bool = False,
    missing: Missing | None = None,
) -> Steps[Folded]:
    """Merge a batch of facts into the tables of its partition, one subject a step; an empty batch is allowed.

    `is_resynced` says that `resync_steps` has already handled the open subjects of the batch's resyncs.
    `missing` holds the marks of facts quarantined before, which are written with the batch. Raises
    FamilyFailure where family code raises on a fact, UnknownFact for an unknown family or version, and
    TooMuchAtOnce and WideResync beyond the limits.
    """
    missing = missing or Missing(reader)
    if not records:
        return Folded(missing.writes(0), {}, 0)
    limits = (
        limits if len(records) > 1 else TransactionLimits(NO_LIMITS.write_bytes, limits.resynced_subjects)
    )
    context = FoldContext(reader, rules, missing, limits)
    counted = {}
    grouped = _by_kind(records)
    with family_code():
        for record in grouped.pop(NOTICE_KIND, ()):
            missing.notice(decode_notice(fact_bytes(record.value)))
    for family, of_family in _by_family(grouped).items():
        counted[family.table] = len(of_family)
        decode = family.decode_fact
        facts: list[tuple[bytes, Any]] = []
        for some in chunks(of_family, FACTS_AT_ONCE):
            with family_code():
                facts += [(record.key, decode(fact_bytes(record.value))) for record in some]
            yield
        if isinstance(family, PartedFamily):
            yield from fold_parted(family, facts, context)
        elif isinstance(family, ConnectedFamily):
            yield from fold_connected(family, facts, context, is_resynced)
        else:
            yield from fold_plain(family, facts, context, is_resynced)
    yield from _move_rows(context, next_offset=records[-1].offset + 1)
    oldest_ms = oldest_raw_at_ms(record.value for record in records)
    _write_missing(context, oldest_ms)
    return Folded(context.writes, counted, oldest_ms, context.waiting, context.contested, context.refused)


def resync_steps(
    resync: Resync,
    subjects: list[bytes],
    reader: StateReader,
    rules: Rules,
    next_offset: int,
    limits: TransactionLimits,
) -> Steps[Folded]:
    """Resync some of the open subjects of a scope, one subject a step. Raises as `fold_steps` does."""
    context = FoldContext(reader, rules, Missing(reader), limits if len(subjects) > 1 else NO_LIMITS)
    family = resync.family
    resyncs = Resyncs(family, {family.code + resync.scope: resync.at_us})
    if isinstance(family, ConnectedFamily):
        components = [Component[Any](roots=[root]) for root in subjects]
        yield from fold_components(family, components, context, resyncs)
    elif isinstance(family, PlainFamily):
        yield from fold_subjects(family, dict.fromkeys(subjects, ()), context, resyncs)
    yield from _move_rows(context, next_offset)
    _write_missing(context, 0)
    return Folded(context.writes, {}, 0, context.waiting, context.contested)


def resync_at(record: FactRecord) -> Resync:
    """Return the resync that a record holds. Raises ValueError for any other fact."""
    family = BY_KIND[kind_of(record.value)]
    resync = resync_of(family, record.key, family.decode_fact(fact_bytes(record.value)))
    if resync is None:
        raise ValueError("no resync")
    return resync


def _move_rows(context: FoldContext, next_offset: int) -> Steps[None]:
    for table, entries_of in context.writes.items():
        _check_sizes(table, entries_of)
    cells = yield from moved_cells(context.changes, context.reader)
    for table, entries in cells.items():
        if entries:
            _check_sizes(table, entries)
            context.writes[table] = entries
    rows = yield from moved_rows(context.changes, context.reader, next_offset)
    if rows:
        # Queue names come from PBXs and are unbounded: a fact that makes a row too large is quarantined.
        _check_sizes(COUNTERS, rows)
        context.writes_to(COUNTERS).update(rows)


def find_culprit(records: Sequence[FactRecord], reader: StateReader, rules: Rules) -> int:
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


def _write_missing(context: FoldContext, since_ms: int) -> None:
    for table, entries in context.missing.writes(since_ms).items():
        _check_sizes(table, entries)
        context.writes_to(table).update(entries)


def _by_kind(records: Sequence[FactRecord]) -> dict[bytes, list[FactRecord]]:
    grouped: dict[bytes, list[FactRecord]] = defaultdict(list)
    for record in records:
        grouped[kind_of(record.value)].append(record)
    return grouped


def _by_family(grouped: dict[bytes, list[FactRecord]]) -> dict[AnyFamily, list[FactRecord]]:
    for kind, of_kind in grouped.items():
        if kind not in BY_KIND:
            raise UnknownFact(f"fact at offset {of_kind[0].offset}: family and version {kind!r}")
    return {BY_KIND[kind]: of_kind for kind, of_kind in grouped.items()}


def _check_sizes(table: str, entries: dict[bytes, bytes | None]) -> None:
    with family_code():
        for value in entries.values():
            if value is not None and len(value) > STATE_LIMIT_BYTES:
                raise StateTooLarge(table)
