"""Which subject a fact is about, and whether it was given up on before. Pure.

A subject that no record can hold fails with each of its facts. They are set aside together and at once:
trying again is of no use, and the partition goes on.
"""

from collections.abc import Sequence

from tally.agents.fold.batch import FactRecord
from tally.schemas.keyed import HEAD_BYTES, KIND_BYTES
from tally.schemas.topics import ALIASES
from tally.tables.families.registry import BY_KIND, INCOMPLETE
from tally.tables.reading import Reader

TOO_LARGE = b"too_large"


def subject_of(record: FactRecord, reader: Reader) -> bytes:
    """Return the family's code and the key of the subject, as the table `incomplete` names it.

    Of a sweep, or where the fact cannot even be decoded, its partition key is all that is known.
    """
    family = BY_KIND.get(record.value[:KIND_BYTES])
    if family is None:
        return record.key  # the fold itself says that it does not know such facts
    try:
        keys = family.subjects(record.key, family.decode_fact(memoryview(record.value)[HEAD_BYTES:]))
    except Exception:  # whatever our own code raises on this fact: that is why it is here
        keys = []
    if not keys:
        return family.code + record.key
    if not family.connects:
        return family.code + keys[0]
    known = reader.get_many(ALIASES, [family.code + key for key in keys])
    roots = sorted({root for root in known if root is not None})
    # Where a fact would join several, none of them is too large by itself: the mark is of this union alone.
    return family.code + (b"+".join(roots) or min(keys))


def hopeless(records: Sequence[FactRecord], reader: Reader) -> list[FactRecord]:
    """Return those facts whose subject is known to be larger than a record may be."""
    subjects = [subject_of(record, reader) for record in records]
    marks = reader.get_many(INCOMPLETE, subjects)
    return [record for record, mark in zip(records, marks, strict=True) if mark == TOO_LARGE]
