"""Laws of places: a fact ends with its own, states keep that of the first event, and no number needs one."""

from collections import Counter
from functools import reduce
from random import Random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.facts import Claim, Claimed, Fact
from tally.schemas.places import NOWHERE, PLACED_TOPICS, RecordPlace, place_number, place_of
from tally.schemas.records import Keyed, Origin, fact_bytes, packed, record_value
from tally.schemas.sources import RAW_TOPICS, READERS
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tally.tables.families.family import Family
from tally.tables.families.message import MessageFamily
from tally.tables.families.registry import FAMILIES
from tally.tables.rules import Rules
from tests.support.facts import FACTS, KEYS, PLACES
from tests.support.partition import MemoryPartition

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.table)
ANY_PLACE = st.tuples(
    st.sampled_from(RAW_TOPICS), st.integers(0, (1 << 16) - 1), st.integers(0, (1 << 44) - 1)
)
START_S = 1_795_000_000
FIRST = 1_234_567_890
CHOSEN = ("accepted", "claimed_elsewhere")
"""Kinds whose first event is not the earliest one: a campaign's claim goes before a service message."""


def state_of(family: Family[Any, Any], facts: list[Any]) -> Any:
    return reduce(lambda state, fact: family.merge(state, [fact]), facts, None)


def nowhere(fact: Any) -> Any:
    return msgspec.structs.replace(fact, place=NOWHERE)


def test_every_raw_topic_has_a_number_of_its_own() -> None:
    assert PLACED_TOPICS.keys() == set(RAW_TOPICS)
    assert len(set(PLACED_TOPICS.values())) == len(PLACED_TOPICS)
    assert all(0 < number < 1 << 4 for number in PLACED_TOPICS.values())


@given(ANY_PLACE, ANY_PLACE)
def test_a_number_is_its_place_and_has_its_order(
    one: tuple[str, int, int], other: tuple[str, int, int]
) -> None:
    def ordered(place: tuple[str, int, int]) -> tuple[int, int, int]:
        return PLACED_TOPICS[place[0]], *place[1:]

    assert place_of(place_number(*one)) == one
    assert NOWHERE < place_number(*one) < 1 << 64
    assert (place_number(*one) < place_number(*other)) == (ordered(one) < ordered(other))


@pytest.mark.parametrize("beyond", [("ami-events", 1 << 16, 0), ("ami-events", 0, 1 << 44)])
def test_a_place_without_room_in_a_number_is_nowhere(beyond: tuple[str, int, int]) -> None:
    assert place_number(*beyond) == NOWHERE
    assert place_of(NOWHERE) is None


@pytest.mark.parametrize("fact", get_args(Fact), ids=lambda fact: fact.__name__)
def test_a_fact_ends_with_its_place(fact: type[msgspec.Struct]) -> None:
    last = msgspec.structs.fields(fact)[-1]

    assert (last.name, last.type, last.default) == ("place", int, NOWHERE)
    assert packed(NOWHERE) == b"\0"


@every_family
@given(data=st.data(), place=ANY_PLACE)
def test_a_fact_in_the_log_has_the_place_of_its_raw_record(
    family: Family[Any, Any], data: st.DataObject, place: tuple[str, int, int]
) -> None:
    fact = nowhere(data.draw(FACTS[family.table]))
    value = record_value(family.code, Origin(1, place_number(*place)), fact)

    found = family.decode_fact(fact_bytes(value))
    assert place_of(found.place) == RecordPlace(*place)
    assert (
        nowhere(found) == fact == family.decode_fact(fact_bytes(record_value(family.code, Origin(1), fact)))
    )


@every_family
@given(data=st.data())
def test_a_state_keeps_the_place_of_the_first_event_of_each_kind(
    family: Family[Any, Any], data: st.DataObject
) -> None:
    facts = data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8))
    alone = [one for fact in facts for one in family.places(family.merge(None, [fact]))]
    found = list(family.places(state_of(family, facts)))

    assert len({(one.of, one.kind) for one in found}) == len(found)
    for one in found:
        same = [other for other in alone if (other.of, other.kind) == (one.of, one.kind)]
        if one.kind not in CHOSEN or family.table == "recipients":
            assert one in same
            assert one.at_us == min(other.at_us for other in same)


@every_family
@given(data=st.data())
def test_no_number_depends_on_a_place(family: Family[Any, Any], data: st.DataObject) -> None:
    facts = data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8))
    key = KEYS[family.table]

    counted = family.contribution(key, state_of(family, facts), Rules())
    assert counted == family.contribution(key, state_of(family, [nowhere(fact) for fact in facts]), Rules())


def test_the_raw_record_at_a_place_says_what_the_state_knows() -> None:
    records = mixed(Random(1), START_S, Size(contacts_per_campaign=12, calls_per_campaign=12))
    at = {place_number(one.topic, 5, FIRST + nth): one for nth, one in enumerate(records)}
    partition = MemoryPartition()
    for place, record in at.items():
        partition.fold_traced([(keyed, Origin(1, place)) for keyed in facts_of(record)], Rules())
    kinds: Counter[str] = Counter()
    for family, _, value in partition.states():
        for placed in family.places(family.decode(value)):
            kinds[placed.kind] += 1
            facts = [keyed.fact for keyed in facts_of(at[placed.place]) if keyed.family == family.code]
            said = [one for fact in facts for one in family.places(family.merge(None, [fact]))]
            assert [one for one in said if one[:3] == placed[:3]], (family.table, placed)

    assert len(kinds) > 20


def facts_of(record: RawRecord) -> list[Keyed]:
    return READERS[record.topic](record.value, record.headers).facts


@given(st.lists(PLACES, min_size=2, max_size=5), st.integers(0, 4))
def test_of_a_send_that_was_published_again_the_smallest_place_holds(places: list[int], later: int) -> None:
    family = MessageFamily()
    again = [Claimed(Claim(5_000, "t", "c", "8", "1"), place=place) for place in places]
    late = [Claimed(Claim(6_000, "t", "c", "8", "1"), place=1 + place) for place in range(later)]

    (found,) = family.places(state_of(family, [*late, *again]))
    assert (found.kind, found.at_us, found.place) == ("accepted", 5_000_000, min(places))
