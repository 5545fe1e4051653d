"""Route's decision: the facts or the dead letter that each raw record becomes. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Literal

from msgspec import Struct, field

from tally.schemas.conventions import CONVENTIONS, Conventions
from tally.schemas.errors import Bad
from tally.schemas.places import NOWHERE, place_number
from tally.schemas.records import Keyed, Origin, Routed
from tally.schemas.sources import COMPACTED, READERS
from tally.tables.kafka.delivered import RawRecord
from tally.tables.kafka.unread import Unread

LAST_MS = (1 << 48) - 1
"""The latest time that fits into the facts log, in the year 10889."""

WRONG_KEY = Bad("wrong_key", "the record's key", "tenant/campaign of the record, with % as %25 and / as %2F")
"""Compaction keeps the last record of a key: under another one's it would remove what was said of that."""

EventOutcome = Literal["good", "partly_bad", "bad"]


class RoutedRecords(Struct):
    """The facts, dead letters and statistics of raw records of one source."""

    facts: list[tuple[list[Keyed], Origin]] = field(default_factory=list)
    """The facts of each raw event, with its origin."""
    bad: list[tuple[RawRecord, Routed]] = field(default_factory=list)
    outcomes: Counter[EventOutcome] = field(default_factory=Counter)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)


def read_record(
    source: str, record: RawRecord, partition: int, conventions: Conventions = CONVENTIONS
) -> tuple[Routed, Origin]:
    """Read one raw record of a partition; return what it becomes, and its origin.

    Without a timestamp of Kafka the origin's is 0. One out of bounds, which only a producer's clock can have
    set, is clamped.
    """
    raw_at_ms = record.timestamp or 0
    if not 0 <= raw_at_ms <= LAST_MS:
        raw_at_ms = 0 if raw_at_ms < 0 else LAST_MS
    if type(record) is Unread:
        return Routed(bad=[record.bad], refused=1), Origin(raw_at_ms)
    routed = READERS[source](record.value, record.headers, conventions, raw_at_ms or None)
    if source in COMPACTED and routed.facts and record.key != routed.facts[0].key:
        return Routed(bad=[WRONG_KEY], refused=1), Origin(raw_at_ms)
    place = place_number(source, partition, record.offset) if routed.facts else NOWHERE
    return routed, Origin(raw_at_ms, place)


def route_records(
    source: str,
    records: Sequence[RawRecord],
    conventions: Conventions = CONVENTIONS,
    before: RoutedRecords | None = None,
    partitions: Iterable[int] = repeat(0),
) -> RoutedRecords:
    """Read raw records of one source into facts and dead letters, and append them to `before`.

    `partitions` are those of the records, one for each.
    """
    found = RoutedRecords() if before is None else before
    facts = found.facts
    seen: list[tuple[str, str]] = []
    bad: list[tuple[RawRecord, Routed]] = []
    for record, partition in zip(records, partitions, strict=False):
        routed, origin = read_record(source, record, partition, conventions)
        facts.append((routed.facts, origin))
        seen += routed.seen
        if routed.bad:
            bad.append((record, routed))
    if seen:
        found.seen.update(seen)
    found.outcomes["good"] += len(records) - len(bad)
    if bad:
        found.bad += bad
        found.outcomes.update(_outcome(routed) for _, routed in bad)
    return found


def _outcome(bad: Routed) -> EventOutcome:
    return "partly_bad" if bad.facts else "bad"
