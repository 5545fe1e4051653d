"""Quarantined facts: the subject of one, and whether that subject is already known to be too large. Pure.

A subject that no record can hold fails with each of its facts. They are quarantined together without a
retry, which would be useless, and the partition goes on.
"""

from collections.abc import Sequence
from typing import Any

from tally.agents.fold.missing import Missing, is_marked, scopes_of
from tally.agents.fold.parted import APART
from tally.schemas.notices import TOO_LARGE, Scope
from tally.schemas.records import fact_bytes, kind_of
from tally.schemas.tables import ALIASES, INCOMPLETE
from tally.tables.families.family import ConnectedFamily, Resyncable
from tally.tables.families.registry import BY_KIND, AnyFamily
from tally.tables.kafka.delivered import FactRecord
from tally.tables.rules import Rules
from tally.tables.store.interface import StateReader


def subject_of(record: FactRecord, reader: StateReader) -> bytes:
    """Return family code and key of a fact's subject, as the table `incomplete` names it.

    Where the fact would join several subjects it is the largest, which has no room for another. The partition
    key stands for the subject of a resync, and of a fact that cannot be decoded.
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
    """Return the facts about a subject that is known to be larger than a record may be.

    One such subject suffices, even if the fact would join others. So a fact costs only lookups of its keys.
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
    """Mark the subject of a quarantined fact, in each scope that its subjects or the fact itself count for.

    The mark of a subject names its scopes already, but a further fact may name another campaign.
    """
    subject = subject_of(record, reader)
    (mark,) = reader.get_many(INCOMPLETE, [subject])
    scopes = _whose(record, kind, reader, rules)
    if scopes or not is_marked(mark, kind):
        missing.mark(subject, kind, scopes)


def _whose(record: FactRecord, kind: str, reader: StateReader, rules: Rules) -> set[Scope]:
    """Return the scopes that a fact, and those of its subjects that are not marked yet, count for."""
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
    except Exception:  # our own code fails on this fact: its scopes are unknown
        return set()
    return found


def _subjects(family: AnyFamily, record: FactRecord, reader: StateReader) -> list[bytes]:
    """Return the keys of the states that a fact is about, sorted where it is connected; at least one."""
    try:
        keys = _named(family, record.key, family.decode_fact(fact_bytes(record.value)))
    except Exception:  # our own code may fail on this fact: that is why it is quarantined
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
    """Return the keys by which a fact names its subject; none for a resync, which is about all subjects."""
    if isinstance(family, Resyncable) and family.resync_us(fact) is not None:
        return ()
    return family.subjects(key, fact) if isinstance(family, ConnectedFamily) else (family.subject(key, fact),)
