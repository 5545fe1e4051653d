"""Trouble is repeatable, includes every kind, and removes no record."""

import time
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from tally.schemas.conventions import CONVENTIONS
from tally.schemas.errors import REASONS
from tally.schemas.fields import MAX_SECONDS
from tally.schemas.sources import READERS
from tally.simulator.records import SEND_RESULTS, RawRecord
from tests.faults.events import WINDOW, deliverable_poisons, shuffled, troubled
from tests.faults.parts import DAY_S, SEND_CONFLICTS, Part, object_of, parts_of
from tests.support.judge import simulated

RECORDS = simulated(seed=31, contacts_per_campaign=30)
PUBLISHED_MS = (int(time.time()) + 90 * DAY_S) * 1000
TROUBLED = troubled(Random(1), RECORDS)


class Added:
    """The records added to the simulated ones."""

    def __init__(self) -> None:
        self.records = list((Counter(TROUBLED) - Counter(RECORDS)).elements())
        self.parts = _parts(self.records)
        self.known = {_name(part): part for part in _parts(RECORDS)}
        self.sends = [one for record in self.records if (one := object_of(record, SEND_RESULTS))]

    def contradicted(self) -> list[tuple[Part, Part]]:
        """Return each changed part with an original that it may have been made from."""
        pairs = [(part, self.known.get(_name(part))) for part in self.parts]
        return [(part, mine) for part, mine in pairs if mine is not None and mine.item != part.item]


def _parts(records: list[RawRecord]) -> list[Part]:
    parts = [part for place, record in enumerate(records) for part in parts_of(place, record)]
    # The status of a payment has the id of a message.
    return [part for part in parts if part.item.get("type") != "payment"]


def _name(part: Part) -> tuple[str, str, str]:
    return part.kind, str(part.item["id"]), str(part.item.get("status"))


def _seconds(part: Part) -> int:
    return int(part.item["timestamp"])


def _reason(record: RawRecord) -> str | None:
    """Return why a record cannot be counted, if it is published after all times but the year 9999."""
    bad = READERS[record.topic](record.value, record.headers, CONVENTIONS, PUBLISHED_MS).bad
    return bad[0].reason if bad else None


KINDS: dict[str, Callable[[Added], bool]] = {
    "exact duplicates": lambda a: len(set(a.records) & set(RECORDS)) > 0.08 * len(RECORDS),
    "a status of another second": lambda a: any(
        abs(_seconds(one) - _seconds(other)) == 1 for one, other in a.contradicted()
    ),
    "another price": lambda a: any(
        one.item.get("pricing") not in (None, other.item.get("pricing")) for one, other in a.contradicted()
    ),
    "another error": lambda a: any(
        one.item["errors"] != other.item.get("errors")
        for one, other in a.contradicted()
        if one.item.get("status") == "failed"
    ),
    "a clock of a day before": lambda a: any(
        _seconds(x) - _seconds(y) == -DAY_S for x, y in a.contradicted()
    ),
    "a clock of a day after": lambda a: any(_seconds(x) - _seconds(y) == DAY_S for x, y in a.contradicted()),
    "epoch 0": lambda a: any(_seconds(part) == 0 for part in a.parts),
    "the year 9999": lambda a: any(_seconds(part) == MAX_SECONDS for part in a.parts),
    "send results with another template": lambda a: any(
        one.get("template") == SEND_CONFLICTS["a larger template"]["template"] for one in a.sends
    ),
    "bundles of several messages": lambda a: any(
        len({part.item["id"] for part in _parts([record])}) > 1
        for record in a.records
        if record not in RECORDS
    ),
    "poison": lambda a: any(
        record.key == poison.name.encode() for record in a.records for poison in deliverable_poisons()
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_there(kind: str) -> None:
    assert KINDS[kind](Added())


def test_the_same_seed_gives_the_same_list_and_another_one_another() -> None:
    assert troubled(Random(1), RECORDS) == TROUBLED
    assert troubled(Random(2), RECORDS) != TROUBLED


def test_nothing_is_taken_away() -> None:
    assert not Counter(RECORDS) - Counter(TROUBLED)


def test_whatever_is_added_is_good_or_a_named_poison() -> None:
    poisons = {poison.name.encode(): poison.reason for poison in deliverable_poisons()}
    simulators_own = {record for record in RECORDS if _reason(record)}
    for record in set(Added().records) - simulators_own:
        expected = poisons.get(record.key) if record.key else None
        if not record.key and {_seconds(part) for part in _parts([record])} & {0, MAX_SECONDS}:
            expected = "bad_time"
        assert _reason(record) == expected
        assert expected is None or expected in REASONS


def test_a_shuffle_moves_nothing_farther_than_its_window() -> None:
    numbered = [RawRecord("t", str(nth).encode(), None) for nth in range(1_000)]
    mixed = shuffled(Random(5), numbered, WINDOW)
    moved = [abs(place - int(record.key or b"")) for place, record in enumerate(mixed)]

    assert Counter(mixed) == Counter(numbered)
    assert 0 < max(moved) <= WINDOW
