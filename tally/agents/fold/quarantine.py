"""Facts that are quarantined: which subject one is about, and whether it was quarantined before. Pure.

A subject that no record can hold fails with each of its facts. They are quarantined together and at once:
trying again is of no use, and the partition goes on.
"""

from collections.abc import Sequence
from typing import Any

from tally.agents.fold.missing import Missing, is_marked, scopes_of
from tally.agents.fold.parted import APART
from tally.schemas.notices import TOO_LARGE, Scope
from tally.schemas.records import fact_bytes, kind_of
from tally.schemas.topics import ALIASES
from tally.tables.families.family import ConnectedFamily, Resyncable
from tally.tables.families.registry import BY_KIND, INCOMPLETE, AnyFamily
from tally.tables.kafka.delivered import FactRecord
from tally.tables.rules import Rules
from tally.tables.store.interface import StateReader


def subject_of(record: FactRecord, reader: StateReader) -> bytes:
    """Return the family's code and the key of the subject, as the table `incomplete` names it.

    Where a fact would join several it is the largest: that one has no room for any other. Of a resync, or
    where the fact cannot even be decoded, its partition key is all that is known.
    """
    family = BY_KIND.get(kind_of(record.value))
    if family is None:
        return record.key  # the fold itself says that it does not know such facts
    subjects = _subjects(family, record, reader)
    if len(subjects) == 1:
        return family.code + subjects[0]
    states = reader.get_many(family.table, subjects)
    sizes = [0 if state is None else len(state) for state in states]
    return family.code + subjects[sizes.index(max(sizes))]


def already_quarantined(records: Sequence[FactRecord], reader: StateReader) -> list[FactRecord]:
    """Return those facts that are about a subject known to be larger than a record may be.

    Whatever else such a fact would join: the large one alone is reason enough, so that a fact costs no more
    than a look at the table.
    """
    about: list[tuple[FactRecord, bytes]] = []
    for record in records:
        family = BY_KIND.get(kind_of(record.value))
        keys = [record.key] if family is None else _subjects(family, record, reader)
        code = b"" if family is None else family.code
        about += [(record, code + key) for key in keys]
    marks = reader.get_many(INCOMPLETE, [subject for _, subject in about])
    lost = {
        record.offset for (record, _), mark in zip(about, marks, strict=True) if is_marked(mark, TOO_LARGE)
    }
    return [record for record in records if record.offset in lost]


def quarantine(missing: Missing, record: FactRecord, kind: str, reader: StateReader, rules: Rules) -> None:
    """Mark the subject of a fact that is quarantined, for whomever its subjects or the fact itself count for.

    What a marked subject counted for is said already; a further fact may name a campaign that it did not.
    """
    subject = subject_of(record, reader)
    (mark,) = reader.get_many(INCOMPLETE, [subject])
    scopes = _whose(record, kind, reader, rules)
    if scopes or not is_marked(mark, kind):
        missing.mark(subject, kind, scopes)


def _whose(record: FactRecord, kind: str, reader: StateReader, rules: Rules) -> set[Scope]:
    """Return whose rows a fact, and the subjects it is about that are not marked yet, count for."""
    family = BY_KIND.get(kind_of(record.value))
    if family is None:
        return set()
    subjects = _subjects(family, record, reader)
    marks = reader.get_many(INCOMPLETE, [family.code + key for key in subjects])
    try:
        found = set(family.named(record.key, family.decode_fact(fact_bytes(record.value))))
        for key, raw, mark in zip(subjects, reader.get_many(family.table, subjects), marks, strict=True):
            if raw is not None and not is_marked(mark, kind):
                state = family.decode(raw)
                found |= scopes_of(family.contribution(key, state, rules))
                found.update(family.owners(state))
    except Exception:  # whatever our own code raises on this fact: then nobody can say whose it is
        return set()
    return found


def _subjects(family: AnyFamily, record: FactRecord, reader: StateReader) -> list[bytes]:
    """Return the keys of the states that a fact is about, in order; at least one."""
    try:
        keys = _named(family, record.key, family.decode_fact(fact_bytes(record.value)))
    except Exception:  # whatever our own code raises on this fact: that is why it is here
        keys = ()
    if not keys:
        return [record.key]
    if not isinstance(family, ConnectedFamily):
        return [*keys]
    known = reader.get_many(ALIASES, [family.code + key for key in keys])
    roots = {
        key if root == APART else root for key, root in zip(keys, known, strict=True) if root is not None
    }
    return sorted(roots) or [min(keys)]


def _named(family: AnyFamily, key: bytes, fact: Any) -> Sequence[bytes]:
    """Return the keys that a fact names its subject by; none of a resync, which is about all subjects."""
    if isinstance(family, Resyncable) and family.resync_us(fact) is not None:
        return ()
    return family.subjects(key, fact) if isinstance(family, ConnectedFamily) else (family.subject(key, fact),)
