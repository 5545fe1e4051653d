"""Laws of stories: the records that a line refers to give what it counts, and the changes add up to it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple

import pytest

from tally.agents.route.pieces import Event
from tally.agents.view.story import Counted, Story, Told, call_names, further, read_at, story_of, told_by
from tally.schemas.ami.reader import Headers
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.grains import RowKey
from tally.schemas.keys import join_parts
from tally.schemas.places import place_number, place_of
from tally.schemas.records import Origin
from tally.schemas.sources import READERS
from tally.schemas.tables import CODES
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.streams.web.told_stories import names_of
from tally.tables.line import Line
from tally.tables.pieces import at_once
from tally.tables.postgres.line_records import LINE_COLUMNS, line_record, subject_digest
from tally.tables.rules import Rules
from tests.support.lines import lines_of
from tests.support.partition import MemoryPartition

RULES = Rules()
AT_S, AT_MS = 1_795_350_000, 1_795_350_001_000
Subject = tuple[str, bytes]
"""A table, and the key of a state in it."""


class Record(NamedTuple):
    offset: int
    value: bytes | None
    headers: Headers
    key: bytes | None = None
    timestamp: int = AT_MS


class World(NamedTuple):
    """Raw records by their places, and the lines that they come to."""

    records: Mapping[int, Record]
    lines: Mapping[Subject, Sequence[Line]]

    def of(self, table: str) -> list[Subject]:
        return [one for one in self.lines if one[0] == table]

    def events(
        self, *subjects: Subject, without: Sequence[int] = ()
    ) -> tuple[list[Told], dict[int, Event], set[bytes]]:
        """Return which records tell of subjects, what these say, and the digests that name the subjects."""
        lines = [line for one in subjects for line in self.lines[one]]
        told = told_by(list(dict.fromkeys(event for line in lines for event in line.events)))
        events = {
            one.place: read_at(one.place, self.records[one.place], CONVENTIONS)
            for one in told
            if one.place not in without
        }
        digests = {
            name
            for table, key in subjects
            for line in self.lines[table, key]
            for name in names(table, key, line)
        }
        return told, events, digests

    def story(self, *subjects: Subject, without: Sequence[int] = ()) -> tuple[list[Told], Story]:
        told, events, digests = self.events(*subjects, without=without)
        return told, at_once(story_of(told, events, digests, RULES))

    def stored(self, *subjects: Subject) -> list[Counted]:
        nth = list(LINE_COLUMNS).index("line")
        return sorted(
            Counted.of(table, line_record(b"", table, line, with_phones=True)[nth], line.part.counts)
            for table, key in subjects
            for line in self.lines[table, key]
        )

    def with_attempts(self, message: Subject) -> list[Subject]:
        """Return a message, and the contacts whose attempts claim it."""
        contacts = [
            ("recipients", join_parts(line.part.row.tenant, line.part.row.campaign, line.contact))
            for line in self.lines[message]
        ]
        return [message, *dict.fromkeys(contacts)]


def names(table: str, key: bytes, line: Line) -> set[bytes]:
    subject = subject_digest(CODES[table], key)
    return names_of(
        {"family": table, "subject": subject, "number": line.part.cell.number, "phone": line.phone}
    )


@pytest.fixture(scope="module")
def world() -> World:
    partition, records = MemoryPartition(), {}
    size = Size(campaigns_per_tenant=2, contacts_per_campaign=15, calls_per_campaign=6, late_at_most_s=2)
    for nth, one in enumerate(mixed(Random(1), AT_S, size)):
        headers = one.headers
        place = place_number(one.topic, 1, nth)
        records[place] = Record(nth, one.value, headers)
        facts = READERS[one.topic](one.value, headers, CONVENTIONS, AT_MS).facts
        partition.fold_traced([(keyed, Origin(AT_MS, place)) for keyed in facts], RULES)
    return World(records, {one: lines for one, lines in lines_of(partition, RULES).items() if lines})


def test_the_records_of_a_message_and_of_its_attempts_give_what_their_lines_count(world: World) -> None:
    """The changes of each record add up to it, row by row, in the order in which things happened."""
    for message in world.of("messages"):
        subjects = world.with_attempts(message)
        told, story = world.story(*subjects)

        assert [one.at_ms for one in told] == sorted(one.at_ms for one in told)
        assert story.lines == world.stored(*subjects), told
        assert story.foreign == set()
        rows: Counter[tuple[RowKey, str]] = Counter()
        for line in (line for one in subjects for line in world.lines[one]):
            rows.update({(line.part.row, name): count for name, count in line.part.counts.items()})
        changed: Counter[tuple[RowKey, str]] = Counter()
        for changes in story.changes.values():
            for one in changes:
                changed.update({(one.row, name): count for name, count in one.counts.items()})
        assert {key: count for key, count in changed.items() if count} == rows


def test_behind_a_record_that_is_gone_nobody_knows_what_another_one_changed(world: World) -> None:
    message = max(world.of("messages"), key=lambda one: len(world.lines[one][0].events))
    told, whole = world.story(message)
    assert len(told) >= 3

    first, second, *later = told
    _, story = world.story(message, without=[second.place])

    assert story.changes == {first.place: whole.changes[first.place]}
    assert not {one.place for one in later} & story.changes.keys()
    assert story.lines != world.stored(message)


def test_a_record_of_something_else_is_foreign_and_changes_nothing(world: World) -> None:
    one, other, *_ = world.of("messages")
    told, story = world.story(one)
    theirs, _ = world.story(other)
    swapped = World(
        {**world.records, told[0].place: world.records[theirs[0].place]},
        world.lines,
    )

    assert story.foreign == set()
    _, story = swapped.story(one)
    assert (story.foreign, story.changes) == ({told[0].place}, {})


def test_of_a_customer_the_changes_add_up_to_what_the_records_give(world: World) -> None:
    """Its lines name the first send and the first reply alone: what a later one changes is not explained."""
    explained = 0
    for customer in world.of("customers"):
        told, story = world.story(customer)
        assert (len(story.changes), story.foreign) == (len(told), set())
        changes = [one.counts for changes in story.changes.values() for one in changes]
        assert total(changes) == total(dict(one.counts) for one in story.lines)
        explained += story.lines == world.stored(customer)
    assert explained > len(world.of("customers")) / 2


def test_the_packets_between_the_first_and_the_last_of_a_call_give_what_it_counts(world: World) -> None:
    """But for calls whose halves are known to be one by the names of their Local channels alone."""
    explained = 0
    packets = {
        place: read_at(place, one, CONVENTIONS)
        for place, one in world.records.items()
        if (lies := place_of(place)) is not None and lies.topic == "ami-events"
    }
    assert world.of("calls")
    for call in world.of("calls"):
        line, *_ = world.lines[call]
        contact = ("recipients", join_parts(line.part.row.tenant, line.part.row.campaign, line.contact))
        subjects = [call, contact] if contact in world.lines else [call]
        told, events, digests = world.events(*subjects)
        first, *_, last = sorted(events.keys() & packets.keys())
        names, wider, also, more = set[bytes](), call_names(events.values()), list[Told](), dict[int, Event]()
        while not wider <= names:
            names |= wider
            more = {
                place: event
                for place, event in packets.items()
                if first <= place <= last and holds_any(world.records[place], names)
            }
            also = further(events, more, digests)
            wider = call_names(more[one.place] for one in also)
        story = at_once(story_of(sorted([*told, *also]), more | events, digests, RULES))

        assert not {one.place for one in also} & events.keys()
        changes = [one.counts for changes in story.changes.values() for one in changes]
        assert total(changes) == total(dict(one.counts) for one in story.lines)
        explained += story.lines == world.stored(*subjects) and len(story.changes) == len(told) + len(also)
    assert explained > len(world.of("calls")) * 2 / 3


def holds_any(record: Record, names: Iterable[bytes]) -> bool:
    return any(name in (record.value or b"") for name in names)


def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in counts:
        found.update(one)
    return {name: count for name, count in found.items() if count}
