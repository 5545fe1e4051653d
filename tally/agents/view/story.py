"""The story of a subject: its facts in order, and what each changed in which row, from raw records. Pure.

Lines say what a subject counts and where the first record of each kind lies. What each record changed stands
nowhere: route's and the fold's own decisions are run once more over those records, in tables of their own.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from tally.agents.fold.batch import fold_batch
from tally.agents.fold.failure import FamilyFailure
from tally.agents.route.decision import read_record
from tally.agents.route.pieces import Event
from tally.schemas.call_facts import CALL
from tally.schemas.conventions import Conventions
from tally.schemas.grains import RowKey
from tally.schemas.places import NOWHERE, place_of
from tally.schemas.records import Keyed, Origin, record_value
from tally.schemas.tables import CODES
from tally.tables.families.family import PlainFamily
from tally.tables.families.registry import FAMILIES, AnyFamily
from tally.tables.kafka.delivered import RawRecord
from tally.tables.line import Line
from tally.tables.pieces import Steps
from tally.tables.postgres.line_records import LINE_COLUMNS, line_record, subject_digest
from tally.tables.rules import Rules
from tally.tables.store.memory import MemoryTables

_OF_FACTS: Mapping[bytes, AnyFamily] = {family.code: family for family in FAMILIES}
_LINE = list(LINE_COLUMNS).index("line")

Counts = dict[str, int]


class Told(NamedTuple):
    """A raw record that told something of a subject first."""

    at_ms: int
    """When the earliest of it happened."""
    place: int
    """`NOWHERE` where it is not known."""
    kinds: tuple[str, ...]
    """None of a further record of a call, in which nothing happened that a line names."""


class Change(Struct, frozen=True):
    """What a record changed in one row."""

    row: RowKey
    counts: Counts
    """By counter what was added, or taken off."""


class Counted(NamedTuple):
    """What a line counts. Its subject is left out: by fewer records one may be known under another name."""

    table: str
    line: bytes
    """The digest of its row and part."""
    counts: tuple[tuple[str, int], ...]
    """By counter, in the order of their names."""

    @staticmethod
    def of(table: str, line: bytes, counts: Counts) -> "Counted":
        """Return what a line of a family's table counts."""
        return Counted(table, line, tuple(sorted(counts.items())))


class Story(Struct, frozen=True):
    """What the records come to."""

    changes: Mapping[int, Sequence[Change]]
    """By place; neither of a record that is not there nor of any after it, since it depends on all before."""
    foreign: Collection[int]
    """Places whose record does not name the subject.

    Their topic was made anew, or other records say what connects the two.
    """
    lines: Sequence[Counted]
    """What the subject counts by these records alone, line by line, in order."""


class _Fact(NamedTuple):
    offset: int
    key: bytes
    value: bytes


def told_by(events: Iterable[tuple[str, int, int]]) -> list[Told]:
    """Return by which records events (kind, unix ms, place) were told, in the order of their times."""
    by_place: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    nowhere = []
    for kind, at_ms, place in events:
        if place == NOWHERE:
            nowhere.append(Told(at_ms, place, (kind,)))
        else:
            by_place[place].append((at_ms, kind))
    told = [
        Told(min(found)[0], place, tuple(dict.fromkeys(kind for _, kind in sorted(found))))
        for place, found in by_place.items()
    ]
    return sorted([*told, *dict.fromkeys(nowhere)])


def read_at(place: int, record: RawRecord, conventions: Conventions) -> Event:
    """Read a raw record as route does."""
    lies = place_of(place)
    assert lies is not None  # noqa: S101 - no record is at NOWHERE
    routed, origin = read_record(lies.topic, record, lies.partition, conventions)
    return routed.facts, origin


def call_names(events: Iterable[Event]) -> set[bytes]:
    """Return the ids of channels and ActionIDs that facts of calls name, as their packets write them."""
    calls: Any = _OF_FACTS[CALL]
    found = set()
    for keyed in (keyed for facts, _ in events for keyed in facts if keyed.family == CALL):
        for subject in calls.subjects(keyed.key, keyed.fact):
            identifier = subject.partition(b"/")[2]
            if identifier[:1] in (b"u", b"a"):
                found.add(identifier[1:])
    return found


def further(
    events: Mapping[int, Event], more: Mapping[int, Event], subjects: Collection[bytes]
) -> list[Told]:
    """Return which other records tell of a call as well, each at the time of its first fact that does."""
    known = [_names(keyed) for facts, _ in (*events.values(), *more.values()) for keyed in facts]
    names = _connected(subjects, known)
    found = []
    for place, (facts, origin) in more.items():
        ours = [keyed.fact for keyed in facts if place not in events and _names(keyed) & names]
        if ours:
            at_us = getattr(ours[0], "at_us", origin.at_ms * 1_000)
            found.append(Told(at_us // 1_000, place, ()))
    return sorted(found)


def story_of(
    told: Sequence[Told], events: Mapping[int, Event], subjects: Collection[bytes], rules: Rules
) -> Steps[Story]:
    """Tell the story of subjects, by their digests, from what those records say that are there, by place."""
    named: dict[int, list[tuple[Keyed, set[bytes]]]] = {}
    for place, (found, _) in events.items():
        named[place] = [(keyed, _names(keyed)) for keyed in found]
        yield
    names = _connected(subjects, [one for found in named.values() for _, one in found])
    ours = {place: [keyed for keyed, one in found if one & names] for place, found in named.items()}
    foreign = {one.place for one in told if one.place in ours and not ours[one.place]}
    changes: dict[int, list[Change]] = {}
    tables, before = MemoryTables(), Counter[tuple[RowKey, str]]()
    for one in told:
        if one.place not in ours or one.place in foreign:
            break
        try:
            _fold(tables, ours[one.place], events[one.place][1], rules)
        except FamilyFailure:
            break
        after = _sums(tables, rules)
        changes[one.place] = _difference(before, after)
        before = after
        yield
    return Story(changes, foreign, _counted(tables, names, rules))


def counts_of(counters: Sequence[str], counts: Sequence[int] | None) -> Counts:
    """Return what a stored line counts."""
    return dict(zip(counters, counts or [1] * len(counters), strict=True))


def _names(keyed: Keyed) -> set[bytes]:
    """Return the digests of all subjects that a fact names."""
    family: Any = _OF_FACTS.get(keyed.family)
    if family is None:
        return set()
    is_plain = isinstance(family, PlainFamily)
    found = [family.subject(keyed.key, keyed.fact)] if is_plain else family.subjects(keyed.key, keyed.fact)
    return {subject_digest(CODES[family.table], subject) for subject in found}


def _connected(subjects: Collection[bytes], named: Sequence[set[bytes]]) -> set[bytes]:
    """Return all that facts name of subjects, by what each of them names."""
    names, rest = set(subjects), named
    while found := [one for one in rest if one & names]:
        names.update(*found)
        rest = [one for one in rest if not one & names]
    return names


def _fold(tables: MemoryTables, facts: Sequence[Keyed], origin: Origin, rules: Rules) -> None:
    records = [
        _Fact(nth, keyed.key, record_value(keyed.family, origin, keyed.fact))
        for nth, keyed in enumerate(facts)
    ]
    tables.apply(fold_batch(records, tables, rules).writes)


def _lines(tables: MemoryTables, rules: Rules) -> Iterable[tuple[bytes, AnyFamily, Line]]:
    for family in FAMILIES:
        for key, value in tables.items(family.table):
            subject = subject_digest(CODES[family.table], key)
            for line in family.lines(key, family.decode(value), rules):
                yield subject, family, line


def _sums(tables: MemoryTables, rules: Rules) -> Counter[tuple[RowKey, str]]:
    sums: Counter[tuple[RowKey, str]] = Counter()
    for _, _, line in _lines(tables, rules):
        for name, count in line.part.counts.items():
            sums[line.part.row, name] += count
    return sums


def _difference(
    before: Mapping[tuple[RowKey, str], int], after: Mapping[tuple[RowKey, str], int]
) -> list[Change]:
    rows: defaultdict[RowKey, Counts] = defaultdict(dict)
    for row, name in sorted({*before, *after}, key=repr):
        added = after.get((row, name), 0) - before.get((row, name), 0)
        if added:
            rows[row][name] = added
    return [Change(row, counts) for row, counts in rows.items()]


def _counted(tables: MemoryTables, names: Collection[bytes], rules: Rules) -> list[Counted]:
    return sorted(
        Counted.of(family.table, line_record(subject, family.table, line, True)[_LINE], line.part.counts)
        for subject, family, line in _lines(tables, rules)
        if subject in names
    )
