"""A fact that only repeats who a customer is is left out, once the facts log is known to hold it."""

from tally.agents.route.links import Fact, Links
from tally.schemas.facts import CUSTOMER, MESSAGE, Claim, Inbound, Keyed, Send, Sighting, StatusSeen

KEY = b"1065403522"
MINE, OTHER = [b"w" + b"1" * 12, b"p31600000001"], [b"w" + b"2" * 12, b"p31600000001"]


def _seen(identifiers: list[bytes], key: bytes = KEY) -> Fact:
    return Keyed(CUSTOMER, key, Sighting(identifiers)), 1


def _sent(identifiers: list[bytes]) -> Fact:
    return Keyed(CUSTOMER, KEY, Sighting(identifiers, send=Send(b"1" * 12, Claim(1, "t", "c")))), 1


def test_a_repeated_link_is_left_out_within_a_pass_and_after_it() -> None:
    links = Links()
    kept, said = links.fresh([_seen(MINE), _seen(MINE), _seen(OTHER)])
    links.note(said)

    assert kept == [_seen(MINE), _seen(OTHER)]
    assert links.fresh([_seen(MINE), _seen(OTHER)]) == ([], set())


def test_until_it_is_safe_a_link_is_said_again() -> None:
    links = Links()
    links.fresh([_seen(MINE)])

    assert links.fresh([_seen(MINE)])[0] == [_seen(MINE)]


def test_what_a_send_result_has_linked_a_status_need_not_say() -> None:
    links = Links()
    links.note(links.fresh([_sent([*MINE, b"u1"])])[1])

    assert links.fresh([_seen(MINE), _seen([MINE[0], b"u1"])])[0] == []
    assert links.fresh([_seen([*MINE, b"u2"])])[0] == [_seen([*MINE, b"u2"])]


def test_links_of_another_business_number_are_other_links() -> None:
    links = Links()
    links.note(links.fresh([_seen(MINE)])[1])

    assert links.fresh([_seen(MINE, b"another")])[0] == [_seen(MINE, b"another")]


def test_sends_replies_and_other_families_are_never_left_out() -> None:
    replied = Keyed(CUSTOMER, KEY, Sighting(MINE, inbound=Inbound(b"3" * 12, 5))), 1
    status = Keyed(MESSAGE, KEY, StatusSeen("sent", 5)), 1
    facts = [_sent(MINE), replied, status]
    links = Links()
    links.note(links.fresh(facts)[1])

    assert links.fresh(facts)[0] == facts


def test_beyond_what_is_remembered_the_older_half_is_forgotten_first() -> None:
    links = Links(remembered=8)
    each = [_seen([b"w" + bytes([n]) * 12, b"p1"]) for n in range(12)]
    for one in each:
        links.note(links.fresh([one])[1])

    assert links.fresh(each)[0] == each[:5]
