"""What the facts log is told of where route starts to read, and of what it could not read. Pure."""

from tally.schemas.keys import join_parts
from tally.schemas.missing import union
from tally.schemas.notices import NOTICE, Reading
from tally.schemas.records import KeyedFact, Timed
from tally.schemas.starts import Start


def reading_of(source: str, partition: int, start: Start, generation: int) -> Reading | None:
    """Return what is to be noted of a start; nothing where route goes on where it was.

    In the first generation nobody has read what is gone before the group's first start: it is lost. A later
    one is a count anew, of what the raw topics still hold, and begins where it first begins; only what goes
    after that is lost to it.
    """
    lost = start.lost
    if start.is_first and generation == 1:
        (lost,) = union([(0, start.at), *([lost] if lost else [])]) or (None,)
    if not start.is_first and lost is None:
        return None
    begun_at = _begun_at(start) if start.is_first else None
    return Reading(source, partition, start.topic_id, start.at_ms, begun_at, lost)


def notice_of(reading: Reading) -> Timed:
    """Return a reading as it goes into the facts log."""
    key = join_parts(reading.topic, str(reading.partition))
    return KeyedFact(NOTICE, key, reading), reading.at_ms


def _begun_at(start: Start) -> int:
    """Return where a first start was before records that were lost right behind it."""
    return start.at if start.lost is None else start.lost[0]
