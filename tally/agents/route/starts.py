"""Notices in the facts log of where route starts to read, and of what it could not read. Pure."""

from tally.schemas.keys import join_parts
from tally.schemas.missing import union
from tally.schemas.notices import NOTICE, Reading
from tally.schemas.records import KeyedFact, Origin, Traced
from tally.schemas.starts import Start


def reading_of(source: str, partition: int, start: Start, generation: int) -> Reading | None:
    """Return the notice of a start; None where route continues at its offset.

    In the first generation, records deleted before the group's first start were never read: they are lost. A
    later generation recounts what the raw topics still hold. It begins at its first start, and only records
    deleted after that are lost.
    """
    lost = start.lost
    if start.is_first and generation == 1:
        (lost,) = union([(0, start.at), *([lost] if lost else [])]) or (None,)
    if not start.is_first and lost is None:
        return None
    begun_at = _begun_at(start) if start.is_first else None
    return Reading(source, partition, start.topic_id, start.at_ms, begun_at, lost)


def notice_of(reading: Reading) -> Traced:
    """Return a reading as it goes into the facts log."""
    key = join_parts(reading.topic, str(reading.partition))
    return KeyedFact(NOTICE, key, reading), Origin(reading.at_ms)


def _begun_at(start: Start) -> int:
    """Return the offset of a first start, before any records that were lost right behind it."""
    return start.at if start.lost is None else start.lost[0]
