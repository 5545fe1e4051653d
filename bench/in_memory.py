"""Measures the CPU of one event in reading its body, route and fold, without Kafka."""

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from tally.agents.fold.batch import fold_batch
from tally.agents.route.decision import route_records
from tally.agents.route.seen_links import SeenLinks
from tally.simulator.records import RawRecord
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import by_partition
from tally.tables.store.interface import Writes

AT_MS = 1_762_000_000_000


@dataclass(slots=True)
class Raw:
    """A record of a raw topic."""

    value: bytes | None
    headers: Any
    timestamp: int = AT_MS
    offset: int = 0
    key: bytes | None = None


class Fact(NamedTuple):
    """A record of the facts log."""

    offset: int
    key: bytes
    value: bytes


class Tables:
    """The tables of one partition in memory, to keep the disk out of the figures."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[bytes, bytes | None]] = defaultdict(dict)

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None."""
        found = self._tables[table]
        return [found.get(key) for key in keys]

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the sorted keys with this prefix, from `begin` on, `most` at most."""
        found = (key for key in self._tables[table] if key.startswith(prefix) and key >= begin)
        return sorted(found)[:most]

    def write(self, writes: Writes) -> None:
        """Apply the changes of a batch."""
        for table, entries in writes.items():
            self._tables[table].update(entries)

    def keys_of(self, *without: str) -> dict[str, set[bytes]]:
        """Return the keys that are there, without those of some tables."""
        return {table: set(entries) for table, entries in self._tables.items() if table not in without}

    def drop(self, keys: Mapping[str, Iterable[bytes]]) -> None:
        """Forget keys."""
        for table, gone in keys.items():
            for key in gone:
                self._tables[table].pop(key, None)


class InMemory(NamedTuple):
    """CPU microseconds of one raw event, the least of several rounds."""

    read_us: float
    """orjson parses the body and plain Python visits each of its values: the others are held against that.

    Parsing alone is compiled code: a machine with slow memory takes twice as long for Python and not for it.
    """
    route_us: float
    fold_us: float


def measure_in_memory(records: Sequence[RawRecord], settings: Settings, rounds: int) -> InMemory:
    """Measure all stages in turn, with the garbage collector off: its runs would hit stages at random."""
    log = _facts(records, settings)
    stages: tuple[Callable[[], object], ...] = (
        lambda: _read(records),
        lambda: _facts(records, settings),
        lambda: _fold(log, settings),
    )
    gc.collect()
    gc.disable()
    try:
        taken = [[_cpu_seconds(stage) for stage in stages] for _ in range(rounds)]
    finally:
        gc.enable()
    return InMemory(*(min(times) / len(records) * 1e6 for times in zip(*taken, strict=True)))


def _cpu_seconds(stage: Callable[[], object]) -> float:
    began = time.process_time()
    stage()
    return time.process_time() - began


def _read(records: Sequence[RawRecord]) -> int:
    return sum(_visited(orjson.loads(record.value or b"null")) for record in records)


def _visited(value: Any) -> int:
    """Return how many values there are in a JSON value, itself included."""
    if isinstance(value, dict):
        return 1 + sum(_visited(inner) for inner in value.values())
    if isinstance(value, list):
        return 1 + sum(_visited(inner) for inner in value)
    return 1


def _facts(records: Sequence[RawRecord], settings: Settings) -> dict[int, list[Fact]]:
    """Route records: read runs, leave out repeated links, encode facts by partition."""
    log: dict[int, list[Fact]] = defaultdict(list)
    links = SeenLinks()
    for first in range(0, len(records), settings.batch_records):
        by_topic: dict[str, list[Raw]] = defaultdict(list)
        for offset, record in enumerate(records[first : first + settings.batch_records], start=first):
            by_topic[record.topic].append(Raw(record.value, record.headers, AT_MS, offset))
        runs = [route_records(topic, raw) for topic, raw in by_topic.items()]
        facts, said = links.filter_new(event for run in runs for event in run.facts)
        links.remember(said)
        for partition, entries in by_partition(facts, settings.partitions).items():
            there = log[partition]
            there += [Fact(offset, *entry) for offset, entry in enumerate(entries, start=len(there))]
    return log


def _fold(log: dict[int, list[Fact]], settings: Settings) -> None:
    at_once, rules = settings.batch_facts, settings.rules
    for facts in log.values():
        tables = Tables()
        for first in range(0, len(facts), at_once):
            tables.write(fold_batch(facts[first : first + at_once], tables, rules).writes)
