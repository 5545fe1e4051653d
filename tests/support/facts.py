"""Hypothesis strategies: facts that meet, contradict and repeat each other."""

from typing import Any

from hypothesis import strategies as st
from msgspec import structs

from tally.schemas.call_facts import ChannelSnapshot, ChannelsSeen, Dialled, MemberSeen, Originated, Resynced
from tally.schemas.descriptions import Described
from tally.schemas.facts import (
    AttemptResult,
    Claim,
    Claimed,
    CustomerSeen,
    Inbound,
    Pricing,
    Quoted,
    Send,
    StatusSeen,
)
from tally.schemas.keys import FREE_FORM, Template, join_parts
from tally.schemas.places import NOWHERE, place_number
from tally.schemas.wamids import message_key

# Few values, so that facts meet often.
PLACES = st.sampled_from([NOWHERE, *(place_number("webhook-events", 3, offset) for offset in (7, 8, 9))])
SECONDS = st.integers(1_795_000_000, 1_795_000_009) | st.sampled_from([0, 1_763_000_000, 1_796_000_000])
MILLISECONDS = SECONDS.flatmap(lambda at_s: st.integers(at_s * 1000, at_s * 1000 + 999))
TEMPLATES = st.sampled_from([FREE_FORM, Template("promo", "pt_BR"), Template("promo", "en_US")])
CAMPAIGNS = st.sampled_from(["c1", "c2", "c%/3"])
ERRORS = st.sampled_from([None, "meta:131026", "meta:131049", "meta:weird"])

MARKETS = st.sampled_from(["", "BR", "US"])
PHONES = st.sampled_from(["", "5511", "1205"])
CLAIMS = st.builds(
    Claim,
    MILLISECONDS,
    st.sampled_from(["t1", "t/2"]),
    CAMPAIGNS,
    st.sampled_from(["8", "9"]),
    st.sampled_from(["1", "2"]),
    TEMPLATES,
    MARKETS,
    PHONES,
) | st.builds(Claim, MILLISECONDS, st.sampled_from(["t1", ""]), template=TEMPLATES)

PRICINGS = st.none() | st.builds(
    Pricing,
    st.integers(0, 4),
    SECONDS,
    st.sampled_from(["marketing", "", "odd"]),
    st.sampled_from(["regular", ""]),
)
SPELLINGS = st.sampled_from([b"", b"\x1c\x18\x02\x31", b"\x1c\x18\x02\xff", b"\x1c\x18\x04\x31"])
MESSAGE_FACTS = (
    st.builds(Claimed, CLAIMS, SPELLINGS)
    | st.builds(
        StatusSeen,
        st.sampled_from(["sent", "delivered", "read", "played", "failed", "deleted"]),
        SECONDS,
        ERRORS,
        PRICINGS,
        SPELLINGS,
    )
    | st.builds(Quoted, SECONDS, st.booleans(), SPELLINGS)
)

SAYINGS = st.sampled_from([[], ["name=a"], ["name=b"], ["tag=a", "tag=b"], ["tag=a"], ["planned=7"]])
DESCRIBED = st.builds(
    Described,
    MILLISECONDS,
    st.dictionaries(st.sampled_from(["name", "status", "tags", "planned", "limits"]), SAYINGS),
)

DIGESTS = st.sampled_from([b"a" * 12, b"b" * 12, b"c" * 12])
RESULTS = st.builds(
    AttemptResult,
    st.sampled_from(["whatsapp", "voice"]),
    st.sampled_from(["1", "2", "10"]),
    st.sampled_from(["queued", "requested", "accepted", "failed", "skipped", "cancelled"]),
    MILLISECONDS,
    TEMPLATES,
    st.sampled_from(["", "id-1", "id-2"]),
    ERRORS,
    st.just(b"") | DIGESTS,
    st.sampled_from(["", "106540352242922", "pbx/01"]),
    MARKETS,
    PHONES,
)

PEOPLE = st.lists(
    st.sampled_from([b"p1", b"p2", b"p3", b"uBR.1", b"uBR.2"]), min_size=1, max_size=3, unique=True
)


def _customer_seen(
    people: list[bytes], message: bytes, claim: Claim | None, inbound: Inbound | None, is_pressed: bool
) -> CustomerSeen:
    if not message:
        return CustomerSeen(people, None, inbound)
    sent = None if claim is None else Send(message, claim)
    return CustomerSeen([b"w" + message, *people], sent, inbound, is_pressed)


CUSTOMERS_SEEN = st.builds(
    _customer_seen,
    PEOPLE,
    st.just(b"") | DIGESTS,
    st.none() | CLAIMS,
    st.none() | st.builds(Inbound, DIGESTS, SECONDS, st.sampled_from(["none", "alone", "named"])),
    st.booleans(),
)

MICROSECONDS = st.integers(1_795_000_000_000_000, 1_795_000_000_000_009) | st.integers(
    1_795_000_000_000_000, 1_795_000_009_999_999
)
UNIQUES = st.sampled_from(["pbx-1.1", "pbx-1.2", "pbx-1.3", "pbx-1.4"])
NAMES = ["PJSIP/trunk-01", "PJSIP/201-02", "Local/9@dial-0;1", "Local/9@dial-0;2"]
VARIABLES = st.sampled_from(
    [
        {},
        {"campaign": "c1", "contact": "8"},
        {"campaign": "c1", "contact": "8", "attempt": "2"},
        {"campaign": "c1"},
        {"campaign": "c2"},
        {"contact": "8"},
        {"contact": "9"},
        {"amd": "HUMAN"},
        {"tenant_header": "t1"},
    ]
)
GLIMPSES = st.builds(
    ChannelSnapshot, UNIQUES, UNIQUES, st.sampled_from(NAMES), st.sampled_from([-1, 0, 4, 5, 6]), VARIABLES
)
CHANNELS_SEEN = st.builds(
    ChannelsSeen,
    MICROSECONDS,
    st.sampled_from(
        [
            *("seen", "listed", "request", "hangup", "dial", "dial_end", "enter", "leave", "hold", "unhold"),
            *("join", "unjoin", "abandon", "agent", "ring_no_answer"),
        ]
    ),
    st.lists(GLIMPSES, min_size=1, max_size=2),
    st.sampled_from(["b1", "b2", "ANSWER", "RINGING", "BUSY"]),
    st.sampled_from(["", "PJSIP/201"]),
    st.sampled_from([0, 16, 17, 200]),
    st.sampled_from([b"", b"m1", b"m2"]),
)
ACTIONS = st.sampled_from(["a1", "a2"])
CALL_FACTS = (
    CHANNELS_SEEN
    | st.builds(Originated, MICROSECONDS, ACTIONS | st.just(""), UNIQUES, st.sampled_from([0, 3, 4, 5]))
    | st.builds(
        Dialled,
        st.sampled_from(["t1", "t/2"]),
        st.just("c1"),
        st.sampled_from(["8", "9"]),
        st.sampled_from(["1", "2"]),
        st.sampled_from(["requested", "accepted", "failed"]),
        MILLISECONDS,
        TEMPLATES,
        st.lists(
            st.tuples(st.just("action_id"), ACTIONS) | st.tuples(st.just("unique_id"), UNIQUES),
            min_size=1,
            max_size=2,
            unique=True,
        ),
        st.booleans(),
        MARKETS,
        PHONES,
    )
)
MEMBERS_SEEN = st.builds(
    MemberSeen,
    st.just("PJSIP/201"),
    st.sampled_from(["sales", "a/b"]),
    MICROSECONDS,
    st.sampled_from(["", "t1"]),
    st.sampled_from(["Ann", "Bob/2"]),
    st.integers(0, 8),
    st.booleans(),
    st.sampled_from(["", "lunch", "a=b/c"]),
    st.booleans(),
    st.sampled_from([0, 1_795_000_000]),
    st.sampled_from([0, 10]),
    st.booleans(),
)

RESYNCS = st.builds(Resynced, MICROSECONDS)


def placed(facts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return facts as the facts log has them, with the places of their raw records."""
    return st.builds(lambda fact, place: structs.replace(fact, place=place), facts, PLACES)


FACTS: dict[str, st.SearchStrategy[Any]] = {
    table: placed(facts)
    for table, facts in {
        "messages": MESSAGE_FACTS,
        "recipients": RESULTS,
        "customers": CUSTOMERS_SEEN,
        "calls": CALL_FACTS,
        "operators": MEMBERS_SEEN,
        "descriptions": DESCRIBED,
    }.items()
}
KEYS = {
    "messages": message_key("106540352242922", "wamid.x/y=="),
    "recipients": join_parts("t1", "c%/3", "812"),
    "customers": join_parts("106540352242922") + b"/p1",
    "calls": join_parts("pbx/01") + b"/uPBX",
    "operators": join_parts("pbx/01") + b"/PJSIP%2F201",
    "descriptions": join_parts("t/1", "c1"),
}
