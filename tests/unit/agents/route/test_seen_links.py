"""Route omits a fact that only repeats known links, once the facts log is known to hold it."""

from tally.agents.route.seen_links import LINK_BYTES, SeenLinks
from tally.schemas.facts import MESSAGE, Claim, Inbound, Send, StatusSeen
from tally.schemas.records import Keyed, KeyedCustomerSeen, KeyedFact, Origin, Traced

NUMBER = b"1065403522"
MINE, OTHER = NUMBER + b"/mine", NUMBER + b"/other"
PHONE = b"p31600000001"
ORIGIN = Origin(1)


def _seen(message: bytes, *identifiers: bytes, number: bytes = NUMBER) -> KeyedCustomerSeen:
    return KeyedCustomerSeen(number, message, list(identifiers))


def _sent(message: bytes, *identifiers: bytes) -> KeyedCustomerSeen:
    return KeyedCustomerSeen(NUMBER, message, list(identifiers), send=Send(b"1" * 12, Claim(1, "t", "c")))


def _fresh(links: SeenLinks, *keyed: Keyed) -> list[Keyed]:
    """Return what is to be said, without saying it."""
    return [fact for fact, _ in links.filter_new([(keyed, ORIGIN)])[0]]


def _said(links: SeenLinks, *keyed: Keyed) -> list[Traced]:
    kept, said = links.filter_new([(keyed, ORIGIN)])
    links.remember(said)
    return kept


def test_a_repeated_link_is_left_out_within_a_pass_and_after_it() -> None:
    links = SeenLinks()
    mine, other = _seen(MINE, PHONE), _seen(OTHER, PHONE)

    assert _said(links, mine, mine, other) == [(mine, ORIGIN), (other, ORIGIN)]
    assert _fresh(links, mine, other) == []


def test_until_it_is_safe_a_link_is_said_again() -> None:
    links = SeenLinks()
    mine = _seen(MINE, PHONE)

    assert _fresh(links, mine) == _fresh(links, mine) == [mine]


def test_what_a_send_result_has_linked_a_status_need_not_say() -> None:
    links = SeenLinks()
    _said(links, _sent(MINE, PHONE, b"u1"))
    more = _seen(MINE, PHONE, b"u2")

    assert _fresh(links, _seen(MINE, PHONE), _seen(MINE, b"u1")) == []
    assert _fresh(links, more) == [more]


def test_a_pair_is_a_pair_whichever_event_shows_it_and_in_whatever_order() -> None:
    links = SeenLinks()
    _said(links, _sent(MINE, PHONE, b"u1"))
    others = [_seen(b"", PHONE, b"u2"), _seen(b"", b"p31600000002", b"u1")]

    assert _fresh(links, _seen(b"", b"u1", PHONE), _seen(MINE, b"u1", PHONE), *others) == others


def test_identifiers_that_are_connected_but_were_never_shown_together_are_a_new_link() -> None:
    links = SeenLinks()
    _said(links, _seen(MINE, PHONE), _seen(MINE, b"u1"))
    together = _seen(MINE, PHONE, b"u1")

    assert _fresh(links, together) == [together]


def test_links_of_another_business_number_are_other_links() -> None:
    links = SeenLinks()
    _said(links, _seen(b"", PHONE, b"u1"), _seen(MINE, PHONE))
    others = [_seen(b"", PHONE, b"u1", number=b"another"), _seen(b"another/mine", PHONE, number=b"another")]

    assert _fresh(links, *others) == others


def test_sends_replies_and_other_families_are_never_left_out() -> None:
    replied = KeyedCustomerSeen(NUMBER, b"", [PHONE], inbound=Inbound(b"3" * 12, 5))
    facts: list[Keyed] = [_sent(MINE, PHONE), replied, KeyedFact(MESSAGE, MINE, StatusSeen("sent", 5))]
    links = SeenLinks()
    _said(links, *facts)

    assert _fresh(links, *facts) == facts


def test_beyond_the_bytes_that_are_remembered_the_older_half_is_forgotten_first() -> None:
    each = [_seen(b"%b/%02d" % (NUMBER, n), PHONE) for n in range(12)]
    link_bytes = LINK_BYTES + len(each[0].message) + 1 + len(PHONE)
    links = SeenLinks(remembered_bytes=8 * link_bytes)
    for one in each:
        _said(links, one)

    assert _fresh(links, *each) == each[:5]


def test_the_longest_ids_are_remembered_in_no_more_bytes_than_short_ones() -> None:
    links = SeenLinks(remembered_bytes=1 << 20)
    for n in range(2_000):
        _said(links, _seen(b"%b/%d" % (NUMBER, n), b"u" + b"x" * 2_048))

    assert sum(map(len, links._young | links._old)) < 1 << 20
