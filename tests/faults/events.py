"""Adds trouble to simulated events: copies, contradictions, other bundles, wrong clocks, disorder, poison."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle, islice
from random import Random

from tally.schemas.topics import RAW_LIMIT_BYTES
from tally.simulator.batching import merged
from tally.simulator.poison import POISONED, Poison, poisons
from tally.simulator.records import (
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    RawRecord,
    as_meta_writes,
    as_producers_write,
)
from tests.faults.parts import CLOCKS, CONFLICTS, SEND_CONFLICTS, Part, object_of, parts_of

DUPLICATE_SHARE = 0.1
CONFLICT_SHARE = 0.01
CLOCK_SHARE = 0.01
BUNDLE_SHARE = 0.01
POISON_SHARE = 0.01
WINDOW = 10
"""Largest number of places that shuffling moves a record."""
BUNDLED = 6

Placed = tuple[float, RawRecord]


def troubled(rng: Random, records: Sequence[RawRecord]) -> list[RawRecord]:
    """Return the records with trouble among them, slightly shuffled.

    The same seed gives the same list, and no record is removed. An added record follows the one that it
    copies or contradicts, soon or much later.
    """
    return shuffled(rng, trouble(rng, records), WINDOW)


def trouble(rng: Random, records: Sequence[RawRecord]) -> list[RawRecord]:
    """Return the records with trouble among them, each before the records that contradict it."""
    parts = [part for place, record in enumerate(records) for part in parts_of(place, record)]
    statuses = [part for part in parts if part.kind == "statuses"]
    count = len(records)
    placed: list[Placed] = [
        *((place, record) for place, record in enumerate(records)),
        *duplicates(rng, records, DUPLICATE_SHARE),
        *contradictions(rng, parts, int(count * CONFLICT_SHARE)),
        *conflicting_sends(rng, records, int(count * CONFLICT_SHARE)),
        *wrong_clocks(rng, parts, int(count * CLOCK_SHARE)),
        *bundles(rng, statuses, int(count * BUNDLE_SHARE)),
        *poisoned(rng, count, int(count * POISON_SHARE)),
    ]
    return [record for _, record in sorted(placed, key=lambda one: one[0])]


def shuffled(rng: Random, records: Sequence[RawRecord], window: int) -> list[RawRecord]:
    """Return the records shuffled, each at most `window` places away from its own."""
    arrival = [place + rng.uniform(0, window) for place in range(len(records))]
    return [records[nth] for nth in sorted(range(len(records)), key=arrival.__getitem__)]


@cache
def deliverable_poisons() -> tuple[Poison, ...]:
    """Return the poisons that a broker accepts."""
    return tuple(poison for poison in poisons() if len(poison.value or b"") < RAW_LIMIT_BYTES)


def record_of(poison: Poison) -> RawRecord:
    """Return a poison as a record, with its name as key."""
    return RawRecord(poison.topic, poison.name.encode(), poison.value)


def duplicates(rng: Random, records: Sequence[RawRecord], share: float) -> Iterator[Placed]:
    """Yield copies of a share of the records."""
    for place, record in enumerate(records):
        if rng.random() < share:
            yield _after(rng, place, len(records)), record


def contradictions(rng: Random, parts: Sequence[Part], count: int) -> Iterator[Placed]:
    """Yield changed copies of parts; every kind of change occurs."""
    statuses = [part for part in parts if part.kind == "statuses"]
    failed = [part for part in statuses if part.item.get("status") == "failed"]
    about = {"another price": statuses, "another error": failed or statuses}
    for name in islice(cycle(CONFLICTS), max(count, len(CONFLICTS)) if statuses else 0):
        part = rng.choice(about.get(name, parts))
        yield _after(rng, part.place, parts[-1].place), _webhook(part.body(**CONFLICTS[name](rng, part)))


def wrong_clocks(rng: Random, parts: Sequence[Part], count: int) -> Iterator[Placed]:
    """Yield copies of parts with the time of a wrong clock; every kind of clock occurs."""
    for name in islice(cycle(CLOCKS), max(count, len(CLOCKS)) if parts else 0):
        part = rng.choice(parts)
        yield _after(rng, part.place, parts[-1].place), _webhook(part.body(**CLOCKS[name](rng, part)))


def conflicting_sends(rng: Random, records: Sequence[RawRecord], count: int) -> Iterator[Placed]:
    """Yield copies of WhatsApp send results with another time, template or error."""
    results = [(place, object_of(record, SEND_RESULTS)) for place, record in enumerate(records)]
    good = [
        (place, result)
        for place, result in results
        if result.get("channel") == "whatsapp" and result.get("tenant") != POISONED
    ]
    failed = [(place, result) for place, result in good if result.get("outcome") == "failed"]
    for name in islice(cycle(SEND_CONFLICTS), max(count, len(SEND_CONFLICTS)) if good else 0):
        place, result = rng.choice((failed or good) if name == "another error" else good)
        body = as_producers_write(result | SEND_CONFLICTS[name])
        yield _after(rng, place, len(records)), RawRecord(SEND_RESULTS, None, body)


def bundles(rng: Random, statuses: Sequence[Part], count: int) -> Iterator[Placed]:
    """Yield copies of statuses of several messages, bundled in other POSTs."""
    for _ in range(max(count, 1) if statuses else 0):
        some = rng.choices(statuses, k=rng.randint(2, BUNDLED))
        body = merged(rng, [part.body() for part in some])
        yield float(max(part.place for part in some)), _webhook(body)


def poisoned(rng: Random, end: int, count: int) -> Iterator[Placed]:
    """Yield poisons at random places; each occurs once before any occurs twice."""
    table = deliverable_poisons()
    for poison in islice(cycle(rng.sample(table, len(table))), max(count, 1)):
        yield rng.uniform(0, end), record_of(poison)


def _webhook(body: dict[str, object]) -> RawRecord:
    return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(body))


def _after(rng: Random, place: int, end: int) -> float:
    """Return a later place: with equal odds close by, or anywhere up to the end."""
    return rng.uniform(place, min(place + WINDOW, end) if rng.random() < 0.5 else end)
