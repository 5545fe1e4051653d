"""The statement of one event about a call, however often the event shows a channel."""

from tally.schemas.call_facts import ChannelSnapshot, ChannelsSeen
from tally.tables.families.call.family import CallFamily
from tally.tables.families.call.from_facts import half_named

CALLS = CallFamily()
HALVES = [
    ChannelSnapshot("u1", "u1", "PJSIP/x", 0, {"campaign": "c"}),
    ChannelSnapshot("u1", "u1", "PJSIP/y", 0, {"contact": "8"}),
]


def test_campaign_and_contact_of_a_channel_that_one_event_shows_twice_are_a_pair() -> None:
    whole = ChannelsSeen(5, "dial", HALVES)
    later = ChannelsSeen(6, "hangup", [ChannelSnapshot("u1", "u1", "PJSIP/x", 0, {})])
    state = CALLS.merge(None, [whole])

    assert b"vc/8" in state.identifiers
    assert half_named(whole) == []
    apart = CALLS.join([state, CALLS.merge(None, [later])])
    assert CALLS.encode(apart) == CALLS.encode(CALLS.merge(None, [later, whole]))


def test_of_values_that_one_event_shows_of_a_channel_the_smallest_names_it() -> None:
    fact = ChannelsSeen(5, "dial", [*HALVES, ChannelSnapshot("u1", "u1", "PJSIP/z", 0, {"contact": "7"})])

    assert b"vc/7" in CALLS.merge(None, [fact]).identifiers
    assert b"vc/8" not in CALLS.merge(None, [fact]).identifiers


def test_one_half_alone_is_half_a_name() -> None:
    assert half_named(ChannelsSeen(5, "seen", HALVES[:1])) == ["u1"]
