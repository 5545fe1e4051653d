"""Reads from the counters changelog what is missing from the numbers, and acknowledges it."""

import time
from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from tally.schemas.missing import Entry, Known, decode_missing, entries_of, is_missing
from tally.schemas.notices import Acknowledged, Scope
from tally.schemas.topics import COUNTERS
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.kafka.read_to_end import read_to_end

DEADLINE_SECONDS = 300.0


class Line(Struct, frozen=True):
    """What is missing of one kind and scope, in all partitions of the facts log."""

    kind: str
    scope: Scope
    by_partition: dict[int, Entry]

    @property
    def name(self) -> str:
        """The line's id."""
        return next(iter(self.by_partition.values())).name

    @property
    def count(self) -> int:
        """How much is missing."""
        return sum(entry.count for entry in self.by_partition.values())

    @property
    def acknowledged(self) -> int:
        """How much of it is acknowledged."""
        return sum(entry.acknowledged for entry in self.by_partition.values())

    @property
    def since_ms(self) -> int:
        """When it was first noticed; 0 if unknown."""
        return min(filter(None, (entry.since_ms for entry in self.by_partition.values())), default=0)

    @property
    def note(self) -> str:
        """The note of the largest acknowledged count."""
        known = (entry.known for entry in self.by_partition.values())
        return max(known, key=lambda one: (one.count, one.note), default=Known()).note


class NotMissing(Exception):
    """Nothing of that name is missing."""


async def read(settings: Settings) -> list[Line]:
    """Return what is missing according to the counters changelog now. Raises KafkaError, TimeoutError."""
    values: dict[tuple[int, bytes], bytes] = {}
    changelog = settings.names.changelog(COUNTERS)
    async for record in read_to_end(settings.kafka, [changelog], DEADLINE_SECONDS):
        if record.key is not None and is_missing(record.key) and record.value is not None:
            values[record.partition, record.key] = record.value
    return lines(
        (partition, entry)
        for (partition, key), value in values.items()
        for entry in entries_of(key, decode_missing(key, value))
    )


def lines(entries: Iterable[tuple[int, Entry]]) -> list[Line]:
    """Return entries of partitions as lines, sorted by kind and scope. Pure."""
    found: dict[tuple[str, Scope], dict[int, Entry]] = defaultdict(dict)
    for partition, entry in entries:
        found[entry.kind, entry.scope][partition] = entry
    return [Line(kind, scope, found[kind, scope]) for kind, scope in sorted(found)]


def acknowledgements(line: Line, note: str) -> dict[int, Acknowledged]:
    """Return a line's acknowledgement for each partition of the facts log, at its present count. Pure."""
    return {
        partition: Acknowledged(line.kind, line.scope, entry.count, note)
        for partition, entry in line.by_partition.items()
    }


async def acknowledge(settings: Settings, name: str, note: str) -> Line:
    """Acknowledge the line of this name at its present count; return the line as it was before.

    Raises NotMissing, KafkaError, TimeoutError.
    """
    line = next((line for line in await read(settings) if line.name == name), None)
    if line is None:
        raise NotMissing(f"nothing is missing under {name}; `tally incomplete list` shows what is")
    facts = FactsLog(settings.kafka, settings.names.facts)
    try:
        await facts.start()
        await facts.tell(acknowledgements(line, note), time.time_ns() // 1_000_000)
    finally:
        await facts.close()
    return line
