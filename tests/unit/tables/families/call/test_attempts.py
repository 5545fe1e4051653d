"""The bound of a call limits what is known of it; the order of the facts does not matter."""

import random
from functools import reduce

import pytest

from tally.schemas.bounds import CALL_CROWDS, CALL_MEMBERS
from tally.schemas.call_facts import CALL, CallFact, ChannelSnapshot, ChannelsSeen, Dialled, Role
from tally.schemas.keys import FREE_FORM, join_parts
from tally.schemas.records import KeyedFact
from tally.schemas.tables import ALIASES
from tally.tables.families.call.family import CallFamily
from tally.tables.families.call.merge import KEPT_IDENTIFIERS, size_of
from tally.tables.families.call.state import Call
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition

AT_US = 1_795_000_000_000_000
FAMILY = CallFamily()
KEY = b"pbx1/uu0"
PBX = join_parts("pbx1")


def seen(nth: int, at: int = 0) -> ChannelsSeen:
    """A channel of the first contact: three members with its first fact (itself, its Uniqueid, a moment)."""
    snapshot = ChannelSnapshot(f"u{nth:05}", "", f"PJSIP/t-{nth:08x}", 6, {"campaign": "c1", "contact": "8"})
    return ChannelsSeen(AT_US + at, "hold", [snapshot])


DIALLED = Dialled("t1", "c1", "8", "1", "accepted", AT_US // 1000, FREE_FORM, [("action_id", "x")], False)


def facts_of(members: int) -> list[CallFact]:
    """Return facts of one call of which so much is known."""
    facts: list[CallFact] = [DIALLED]  # the contact, the ActionID; the result, the id
    size = 4
    nth = 0
    while size + 3 <= members:
        facts.append(seen(nth))
        size, nth = size + 3, nth + 1
    facts += [seen(0, at=more + 1) for more in range(members - size)]
    return facts


def state_of(facts: list[CallFact], sizes: int) -> Call:
    some = [facts[first : first + sizes] for first in range(0, len(facts), sizes)]
    return reduce(FAMILY.merge, some, None)  # type: ignore[return-value]


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_call_counts_up_to_its_bound_and_not_beyond_it_in_any_order(over: int) -> None:
    facts = facts_of(CALL_MEMBERS.most + over)
    whole = FAMILY.merge(None, facts)
    for seed in (1, 2):
        random.Random(seed).shuffle(facts)
        assert FAMILY.encode(state_of(facts, 97)) == FAMILY.encode(whole)
    left, right = FAMILY.merge(None, facts[::2]), FAMILY.merge(None, facts[1::2])
    assert FAMILY.encode(FAMILY.join([right, left])) == FAMILY.encode(whole)

    if over > 0:
        assert FAMILY.beyond(whole) == CALL_MEMBERS
        assert FAMILY.contribution(KEY, whole, Rules()) == []
        assert len(whole.identifiers) == KEPT_IDENTIFIERS
    else:
        assert FAMILY.beyond(whole) is None
        assert size_of(whole) == CALL_MEMBERS.most + over
        assert FAMILY.contribution(KEY, whole, Rules())[0].counts["attempted"] == 1


PRESENT = 20
"""Channels in one bridge."""
MOVES = CALL_CROWDS.most // PRESENT**2


def crowd_of(moves: int) -> list[CallFact]:
    """Return a call of 20 channels in two bridges that a Local connects, with so many enters."""
    facts: list[CallFact] = [DIALLED]
    named: dict[Role, str] = {"campaign": "c1", "contact": "8"}
    for nth in range(PRESENT):
        half = nth - PRESENT + 3
        name = f"Local/9@dial-1;{half}" if half > 0 else f"PJSIP/t-{nth:08x}"
        one = ChannelSnapshot(f"u{nth:05}", "", name, 6, named)
        bridge = "b1" if nth % 2 else "b2"
        facts += [ChannelsSeen(AT_US + n, "enter", [one], bridge) for n in range(nth, moves, PRESENT)]
    return facts


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_call_in_whose_bridges_too_many_meet_counts_nothing_in_any_order(over: int) -> None:
    facts = crowd_of(MOVES + over)
    whole = FAMILY.merge(None, facts)
    for seed in (1, 2):
        random.Random(seed).shuffle(facts)
        assert FAMILY.encode(state_of(facts, 7)) == FAMILY.encode(whole)

    assert FAMILY.beyond(whole) == (CALL_CROWDS if over > 0 else None)
    assert bool(FAMILY.contribution(KEY, whole, Rules())) == (over <= 0)


def test_crowds_that_no_local_channel_connects_add_up() -> None:
    """Two of 10 channels and 150 moves each are within the bound: half of that of one with all channels."""
    facts = [
        ChannelsSeen(
            AT_US + n, "enter", [ChannelSnapshot(f"u{n % PRESENT:05}", "u0", "PJSIP/t-1")], f"b{n % 2}"
        )
        for n in range(300)
    ]
    whole = FAMILY.merge(None, facts)
    assert sum(10**2 * 150 for _ in range(2)) == CALL_CROWDS.most
    assert FAMILY.beyond(whole) is None
    (more,) = [ChannelsSeen(AT_US + 300, "enter", [ChannelSnapshot("u00000", "u0", "PJSIP/t-1")], "b0")]
    assert FAMILY.beyond(FAMILY.merge(whole, [more])) == CALL_CROWDS


def test_a_call_beyond_its_bound_grows_no_more_and_takes_what_belongs_to_it() -> None:
    partition = MemoryPartition()
    facts = facts_of(CALL_MEMBERS.most + 1)
    for first in range(0, len(facts), 200):
        partition.fold([KeyedFact(CALL, PBX, fact) for fact in facts[first : first + 200]], Rules())
    assert partition.counts() == {}
    (before,) = partition.tables["calls"].values()

    # A channel that is only now seen, another contact that it is found to be of, and that contact's channel.
    new = ChannelSnapshot("a-new-one", "u00000", "PJSIP/new", 6)
    other = ChannelSnapshot("a-new-one", "", "PJSIP/new", 6, {"campaign": "c1", "contact": "9"})
    partition.fold([KeyedFact(CALL, PBX, ChannelsSeen(AT_US, "seen", [new]))], Rules())
    partition.fold([KeyedFact(CALL, PBX, ChannelsSeen(AT_US, "seen", [other]))], Rules())
    partition.fold([KeyedFact(CALL, PBX, seen(7))], Rules())

    ((root, after),) = partition.tables["calls"].items()
    assert partition.counts() == {}
    assert len(after) < 2 * len(before) < 8_192
    assert {partition.tables[ALIASES][CALL + b"pbx1/" + name] for name in (b"ua-new-one", b"vc1/9")} == {root}


def test_a_call_beyond_its_bound_is_found_under_all_its_names_after_it_moved() -> None:
    partition = MemoryPartition()
    facts = facts_of(CALL_MEMBERS.most + 1)[1:]  # without the ActionID, so that a Uniqueid is its key
    partition.fold(
        [KeyedFact(CALL, PBX, fact) for fact in facts + [seen(90_000 + n) for n in range(2)]], Rules()
    )
    assert b"pbx1/uu00000" in partition.tables["calls"]

    partition.fold([KeyedFact(CALL, PBX, DIALLED)], Rules())
    assert list(partition.tables["calls"]) == [b"pbx1/ax"]
    partition.fold([KeyedFact(CALL, PBX, seen(1_000))], Rules())
    assert list(partition.tables["calls"]) == [b"pbx1/ax"]
